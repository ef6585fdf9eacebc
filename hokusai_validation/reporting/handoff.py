"""`handoff.md`: what to do, in which order, by whom, with commands to see it for oneself."""

from collections.abc import Iterator

from hokusai_validation.report import Finding, Priority, Report
from hokusai_validation.reporting import views
from hokusai_validation.reporting.escape import code_block, markdown

MEANING = {
    Priority.P0: "now: users are cut off or data is at risk",
    Priority.P1: "today: a critical part fails or will soon",
    Priority.P2: "this week: degraded, or a promise that is not kept",
    Priority.P3: "when there is time",
}


def render(report: Report) -> bytes:
    """The whole page."""
    return ("\n".join(_lines(report)) + "\n").encode()


def _lines(report: Report) -> Iterator[str]:
    yield f"# Handoff for {markdown(report.target)}"
    yield ""
    yield f"{markdown(report.headline, 600)} (run `{report.run_id}`, {report.finished_at:%Y-%m-%d %H:%M:%S %Z})"
    yield ""
    yield from _overview(report)
    number = 0
    for priority in Priority:
        findings = [item for item in report.findings if item.priority is priority]
        if findings:
            yield from ("", f"## {priority}, {MEANING[priority]}")
        for finding in findings:
            number += 1
            yield from _finding(number, finding, views.accepted(report, *finding.explains))
    yield from _recommendations(report)


def _overview(report: Report) -> Iterator[str]:
    if not report.findings:
        yield "There is nothing to hand over: no finding."
        return
    yield "| # | priority | what | component | team | effort | quick win | tests explained |"
    yield "| ---: | --- | --- | --- | --- | ---: | --- | ---: |"
    ordered = sorted(report.findings, key=lambda item: item.priority)
    for number, item in enumerate(ordered, 1):
        yield (
            f"| {number} | {item.priority} | {markdown(item.title)} | {markdown(item.component)}"
            f" | {markdown(item.team)} | {item.effort_h:g} h | {'yes' if item.quick_win else ''} | {len(item.explains)} |"
        )


def _finding(number: int, finding: Finding, accepted: str) -> Iterator[str]:
    mark = " (quick win)" if finding.quick_win else ""
    yield from ("", f"### {number}. {markdown(finding.title)}{mark}", "")
    yield f"- Impact: {markdown(finding.impact, 500)}"
    if accepted:
        yield f"- It is {markdown(accepted, 600)}"
    yield f"- Component: {markdown(finding.component)}, team {markdown(finding.team)}, about {finding.effort_h:g} h"
    if finding.since is not None:
        yield f"- Since {finding.since:%Y-%m-%d %H:%M %Z}, seen in {finding.seen_runs} runs"
    yield from (f"- It follows: {markdown(text, 400)}" for text in finding.follows)
    yield from ("", "What was seen:", "")
    for fact in finding.facts:
        via = f" (from {markdown(fact.via)})" if fact.via else ""
        yield f"- {fact.kind} at {markdown(fact.component)}{via}: {markdown(fact.seen)}"
    yield from (
        "",
        "See it for yourself:",
        "",
        code_block("\n".join(finding.reproduction)),
        "",
        "Remedy:",
        "",
    )
    yield from (f"{step}. {markdown(text, 500)}" for step, text in enumerate(finding.remedy, 1))
    yield ""
    yield f"Tests that it explains: {', '.join(markdown(test) for test in finding.explains)}."


def _recommendations(report: Report) -> Iterator[str]:
    yield from ("", "## Recommendations", "")
    quick = [item for item in report.findings if item.quick_win]
    if quick:
        yield f"- Begin with the quick wins: {', '.join(markdown(item.title) for item in quick)}."
    broken = report.counts.by_status.get("broken", 0)
    if broken:
        yield f"- Tests that could not be judged: {broken}. Make them judge before trusting the rest."
    skipped = report.counts.by_status.get("skipped", 0)
    if skipped:
        yield f"- Tests that were not executed: {skipped}; `health_report.md` lists the reasons."
    yield "- After each remedy: `hokusai-validation run TARGET --failed`, and compare."
