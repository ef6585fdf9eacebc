"""`working_services.md`: what a developer can use now, each line backed by a test that passed."""

from collections.abc import Iterator

from hokusai_validation.report import Report
from hokusai_validation.reporting import views
from hokusai_validation.reporting.escape import markdown
from hokusai_validation.result import Status


def render(report: Report) -> bytes:
    """The whole page."""
    return ("\n".join(_lines(report)) + "\n").encode()


def _lines(report: Report) -> Iterator[str]:
    yield f"# What works on {markdown(report.target)}"
    yield ""
    yield f"As seen by run `{report.run_id}` at {report.finished_at:%Y-%m-%d %H:%M:%S %Z}."
    yield from ("", "## Operational services", "")
    working = [row for row in views.matrix(report) if row.overall.status is Status.PASSED]
    for row in working:
        yield f"- **{markdown(row.component)}**: {row.overall.passed} of {row.overall.total} tests passed, none failed"
    if not working:
        yield "None was shown to work."
    yield from ("", "## Verified endpoints", "")
    yield from ("| endpoint | calls | statuses seen | median |", "| --- | ---: | --- | ---: |")
    for endpoint in views.endpoints(report):
        if not endpoint.failing_tests:
            statuses = ", ".join(f"{status} × {count}" for status, count in endpoint.statuses.items())
            yield f"| {markdown(endpoint.endpoint)} | {endpoint.calls} | {statuses} | {endpoint.median_ms:.1f} ms |"
    yield from ("", "## Integration points", "")
    for result in views.edges(report):
        if result.status is Status.PASSED:
            yield f"- {markdown(views.edge_name(result))}"
    yield from ("", "## Performance baselines", "")
    yield from (
        "| test | endpoint | model | requests | rate | p50 | p95 | p99 | errors |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    )
    for item in report.performance:
        rate = f"{item.rate_per_s:.0f}/s" if item.rate_per_s is not None else "n/a"
        cells = (milliseconds(item.p50_ms), milliseconds(item.p95_ms), milliseconds(item.p99_ms))
        yield (
            f"| {markdown(item.test)} | {markdown(item.endpoint)} | {item.model} | {item.requests} | {rate}"
            f" | {' | '.join(cells)} | {views.percent(item.error_rate)} |"
        )


def milliseconds(value: float | None) -> str:
    """`12.3 ms`, or `n/a` where the samples do not carry the percentile."""
    return "n/a" if value is None else f"{value:.1f} ms"
