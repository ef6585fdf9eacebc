"""`failing_services.md`: errors, their patterns, causes and impact, for whoever looks after a service."""

from collections.abc import Iterator

from hokusai_validation.report import Report
from hokusai_validation.reporting import views
from hokusai_validation.reporting.escape import code_block, markdown
from hokusai_validation.result import Result, Status


def render(report: Report) -> bytes:
    """The whole page."""
    return ("\n".join(_lines(report)) + "\n").encode()


def _lines(report: Report) -> Iterator[str]:
    yield f"# What fails on {markdown(report.target)}"
    yield ""
    failing = [row for row in views.matrix(report) if row.overall.status in (Status.FAILED, Status.BROKEN)]
    if not failing:
        yield "Nothing failed and nothing was broken."
    for component in failing:
        yield from ("", f"## {markdown(component.component)}", "")
        for finding in report.findings:
            if finding.component == component.component:
                yield f"**{finding.priority} {markdown(finding.title)}**: {markdown(finding.impact, 500)}"
                yield from (f"- it follows: {markdown(text, 400)}" for text in finding.follows)
                yield ""
        for row in views.not_passed(report):
            if row.component == component.component:
                yield from _row(row)
    yield from _patterns(report)


def _row(row: Result) -> Iterator[str]:
    yield f"- `{row.id}` {markdown(row.test)}: **{row.status}**{' (critical)' if row.critical else ''}"
    yield ""
    yield from (f"  {line}" for line in code_block(row.message or "no message").splitlines())
    for fact in row.facts:
        via = f", seen from {markdown(fact.via)}" if fact.via else ""
        yield f"  - {fact.kind} at {markdown(fact.component)}{via}: {markdown(fact.seen)}"
    yield ""


def _patterns(report: Report) -> Iterator[str]:
    if not report.trend.patterns:
        return
    yield from (
        "",
        "## Error patterns",
        "",
        "| state | count | since | pattern |",
        "| --- | ---: | --- | --- |",
    )
    for item in report.trend.patterns:
        since = f"{item.since:%Y-%m-%d %H:%M %Z}" if item.since else "–"
        yield f"| {item.state} | {item.count} | {since} | {markdown(item.pattern)} |"
