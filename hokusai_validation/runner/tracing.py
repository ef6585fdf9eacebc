"""Rows as traces: a test is a span, each question that it asked of the target is one below it, and goes out
with `traceparent`, so that the service's own trace hangs below that.

Sent over OTLP where OpenTelemetry's own variables name an endpoint (`OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`), as HTTP with protobuf; without one nothing is made. A collector that
is away costs its spans and a few seconds, never a row.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from hokusai_validation import __version__
from hokusai_validation.observation import Observation
from hokusai_validation.result import Result, Status

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
SERVICE = "hokusai-validation"
FLUSH_LIMIT_MS = 5_000

Attributes = Mapping[str, str | int | float | bool]


class Tracing:
    """Where spans go. Made once a process."""

    def __init__(self, processor: "SpanProcessor", resource: "Resource") -> None:
        self._processor = processor
        self._resource = resource

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self | None:
        """As OpenTelemetry's variables say; None where they name no endpoint, or switch it off."""
        given = os.environ if environment is None else environment
        off = (
            given.get("OTEL_SDK_DISABLED", "").lower() == "true"
            or given.get("OTEL_TRACES_EXPORTER") == "none"
        )
        if off or not any(given.get(name) for name in ENDPOINTS):
            return None
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        named = {} if given.get("OTEL_SERVICE_NAME") else {"service.name": SERVICE}
        return cls(BatchSpanProcessor(OTLPSpanExporter()), Resource.create(named))

    def add(self, row: Result, trace_id: str, span_id: str) -> None:
        """The spans of a finished row, whose test is the span `span_id`."""
        for span in spans(row, trace_id, span_id, self._resource):
            self._processor.on_end(span)

    def close(self) -> None:
        """Send what still waits, for no longer than a few seconds."""
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what is lost is said in one line
        if not self._processor.force_flush(FLUSH_LIMIT_MS):
            print("note: not all spans were taken by the collector in time")
        self._processor.shutdown()


def spans(row: Result, trace_id: str, span_id: str, resource: "Resource") -> Iterator["ReadableSpan"]:
    """A row's test and its questions."""
    good = row.status in (Status.PASSED, Status.SKIPPED)
    test: Attributes = {
        "hokusai.target": row.target,
        "hokusai.run_id": row.run_id,
        "hokusai.phase": row.phase.value,
        "hokusai.test.id": row.id,
        "hokusai.component": row.component,
        "hokusai.attempt": row.attempt,
        "test.case.name": row.test,
        "test.case.result.status": "pass" if row.status is Status.PASSED else "fail",
        "hokusai.status": row.status.value,
    }
    ended_at = row.started_at + timedelta(seconds=row.duration_s)
    yield _span(
        row.test, trace_id, span_id, None, resource, (row.started_at, ended_at), test, good, row.message
    )
    for each in row.observations:
        if each.span_id is not None:
            times = (each.started_at, each.ended_at)
            yield _span(
                each.operation,
                trace_id,
                each.span_id,
                span_id,
                resource,
                times,
                _attributes(each),
                each.ok,
                "",
            )


def _attributes(seen: Observation) -> Attributes:
    """By OpenTelemetry's names where it has one."""
    found: dict[str, str | int | float | bool | None] = {
        "server.address": seen.host or None,
        "server.port": seen.port,
        "http.response.status_code": seen.status,
        "error.type": None if seen.error_class is None else seen.error_class.value,
        "peer.service": seen.dialled,
        "hokusai.outcome": seen.outcome.value,
        "hokusai.observation": seen.id,
        "hokusai.answered_by": seen.answered_by,
        "hokusai.instance": seen.instance,
        "hokusai.expected": seen.expected,
        "hokusai.samples": seen.count,
        "hokusai.faults_on": ", ".join(seen.faults_on) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _span(
    name: str,
    trace_id: str,
    span_id: str,
    parent: str | None,
    resource: "Resource",
    times: tuple[datetime, datetime],
    attributes: Attributes,
    good: bool,
    message: str,
) -> "ReadableSpan":
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
    from opentelemetry.trace.status import Status as SpanStatus
    from opentelemetry.trace.status import StatusCode

    def context(span: str) -> SpanContext:
        flags = TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(int(trace_id, 16), int(span, 16), is_remote=False, trace_flags=flags)

    status = SpanStatus(StatusCode.UNSET) if good else SpanStatus(StatusCode.ERROR, message or None)
    began, ended = (int(each.timestamp() * 1e9) for each in times)
    return ReadableSpan(
        name,
        context=context(span_id),
        parent=None if parent is None else context(parent),
        resource=resource,
        attributes=attributes,
        kind=SpanKind.INTERNAL if parent is None else SpanKind.CLIENT,
        status=status,
        start_time=began,
        end_time=ended,
        instrumentation_scope=InstrumentationScope(SERVICE, __version__),
    )
