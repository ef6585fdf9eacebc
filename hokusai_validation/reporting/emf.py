"""The run's numbers in CloudWatch's embedded metric format: lines of JSON that CloudWatch Logs makes metrics of,
without an agent or a call."""

import json
from collections.abc import Iterator, Mapping

from hokusai_validation.report import Priority, Report, Verdict

NAMESPACE = "HokusaiValidation"


def render(report: Report) -> bytes:
    """One line for the run, one for each load run of it. Metrics are as those of `metrics.prom`."""
    return "".join(f"{line}\n" for line in lines(report)).encode()


def lines(report: Report) -> Iterator[str]:
    """Each a whole document of the format."""
    numbers: dict[str, tuple[float, str]] = {
        **{f"Verdict{each.value.title()}": (float(each is report.verdict), "Count") for each in Verdict},
        **{f"Tests{name.title()}": (float(n), "Count") for name, n in report.counts.by_status.items()},
        **{
            f"Findings{each.value}": (float(sum(f.priority is each for f in report.findings)), "Count")
            for each in Priority
        },
        **{
            name.title().replace("_", ""): (score * 100, "Percent")
            for name, score in report.scores.model_dump().items()
            if score is not None
        },
        "Duration": ((report.finished_at - report.started_at).total_seconds(), "Seconds"),
    }
    yield _line(report, {}, numbers)
    for run in report.performance:
        latencies = {"P50": run.p50_ms, "P90": run.p90_ms, "P95": run.p95_ms, "P99": run.p99_ms}
        seen = {f"Latency{name}": (ms, "Milliseconds") for name, ms in latencies.items() if ms is not None}
        if seen:
            yield _line(report, {"Test": run.test, "Endpoint": run.endpoint, "Model": run.model}, seen)


def _line(report: Report, dimensions: Mapping[str, str], numbers: Mapping[str, tuple[float, str]]) -> str:
    named = {"Target": report.target, **dimensions}
    metadata = {
        "Timestamp": int(report.finished_at.timestamp() * 1000),
        "CloudWatchMetrics": [
            {
                "Namespace": NAMESPACE,
                "Dimensions": [list(named)],
                "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in numbers.items()],
            }
        ],
    }
    values = {name: value for name, (value, _) in numbers.items()}
    return json.dumps({"_aws": metadata, **named, "RunId": report.run_id, **values}, ensure_ascii=False)
