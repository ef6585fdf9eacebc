"""A short summary in Markdown, for a pull request or a job's summary page: what a reviewer decides by."""

from collections.abc import Iterator

from hokusai_validation.report import Report, Verdict
from hokusai_validation.reporting.escape import code_block, markdown
from hokusai_validation.reporting.views import accepted, percent

MARKS = {
    Verdict.HEALTHY: "✅",
    Verdict.DEGRADED: "⚠️",
    Verdict.INCONCLUSIVE: "❔",
    Verdict.UNHEALTHY: "❌",
}
FINDINGS = 5


def render(report: Report) -> bytes:
    """The whole text, under 16 KiB whatever a target answers."""
    return ("\n".join(_lines(report)) + "\n").encode()


def _lines(report: Report) -> Iterator[str]:
    yield f"### {MARKS[report.verdict]} {markdown(report.target)}: {report.verdict}"
    yield ""
    yield markdown(report.headline, 600)
    counts = report.counts.catalogue
    yield ""
    yield "| catalogue | infrastructure health | test success | run |"
    yield "| --- | --- | --- | --- |"
    yield (
        f"| {counts.passed} of {counts.total} passed, {counts.failed} failed, {counts.broken} broken,"
        f" {counts.skipped} skipped | {percent(report.scores.infrastructure_health)}"
        f" | {percent(report.scores.test_success)} | `{report.run_id}` |"
    )
    for each in report.waived:
        yield ""
        yield (
            f"Accepted until {each.until} by {markdown(each.owner)}: {markdown(each.what)}"
            f" ({len(each.tests)} failed): {markdown(each.reason)}"
        )
    for notice in report.notices:
        yield from ("", f"Target file: {markdown(notice)}.")
    for finding in report.findings[:FINDINGS]:
        yield ""
        yield f"**{finding.priority}** {markdown(finding.title)} ({finding.confidence}): {markdown(finding.impact)}"
        if said := accepted(report, *finding.explains):
            yield from ("", f"- It is {markdown(said, 400)}")
        if finding.remedy:
            yield ""
            yield f"- Change: {markdown(finding.remedy[0], 400)}"
        if finding.reproduction:
            yield from ("", code_block(finding.reproduction[0][:600]))
    left = len(report.findings) - FINDINGS
    if left > 0:
        yield from ("", f"{left} more in the report.")
