"""Questions as spans, in a receiver of OTLP and in the service's own trace."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.proto.trace.v1.trace_pb2 import Status as SpanStatus

from hokusai_validation.result import Result, Status
from hokusai_validation.runner.tracing import Tracing
from hokusai_validation.store.record import read_file
from hokusai_validation_tests.declared.collector import collecting
from hokusai_validation_tests.declared.services import seen_headers, shop, target_text


def rows_of(folder: Path, **environment: str) -> Sequence[Result]:
    """The functional phase of a shop with one wrong service."""
    with shop(wrong="mailer") as services:
        path = folder / "shop.toml"
        path.write_text(target_text(services), encoding="utf-8")
        rows = folder / "rows.jsonl"
        words = ["-m", "hokusai_validation.run_test_suite", "--category", "check", "--target", str(path)]
        subprocess.run(
            [sys.executable, *words, "--rows", str(rows)],
            env={**os.environ, **environment},
            capture_output=True,
            timeout=200,
            check=False,
        )
        return read_file(rows).rows


def attributes(span: Span) -> dict[str, str | int]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_a_failed_test_leads_to_the_services_own_trace(tmp_path: Path) -> None:
    seen_headers.clear()
    with collecting() as collector:
        rows = rows_of(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    failed = next(row for row in rows if row.status is Status.FAILED)
    trace_id = str(failed.evidence["trace_id"])
    mine = [span for span in collector.spans if span.trace_id.hex() == trace_id]
    test = next(span for span in mine if not span.parent_span_id)
    asked = next(span for span in mine if span.parent_span_id)
    assert test.name == failed.test
    assert test.status.code == SpanStatus.STATUS_CODE_ERROR
    assert asked.parent_span_id == test.span_id
    assert attributes(asked)["server.address"] == "127.0.0.1"
    assert attributes(asked)["http.response.status_code"] == 200
    sent = f"00-{trace_id}-{asked.span_id.hex()}-01"
    assert sent in seen_headers
    assert collector.services == {"hokusai-validation"}
    assert {attributes(span).get("test.case.name") for span in collector.spans} >= {row.test for row in rows}


def test_a_collector_that_is_away_costs_no_row(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        rows = rows_of(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=url)
    assert {row.status for row in rows} == {Status.PASSED, Status.FAILED}


def test_it_is_off_without_an_endpoint_or_where_it_is_switched_off() -> None:
    assert Tracing.from_environment({}) is None
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    assert Tracing.from_environment({**given, "OTEL_SDK_DISABLED": "true"}) is None
    assert Tracing.from_environment({**given, "OTEL_TRACES_EXPORTER": "none"}) is None
