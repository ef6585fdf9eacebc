"""The verdict as a table, where the report lies, and where the time went."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from hokusai_validation.report import Reason, Report
from hokusai_validation.reporting.escape import terminal
from hokusai_validation.reporting.views import accepted
from hokusai_validation.result import CATALOGUE_CATEGORIES, Category, Phase, Status, final_attempts

COLOURS = {"healthy": "green", "degraded": "yellow", "inconclusive": "magenta", "unhealthy": "red"}
REASONS = 8
IDS = 5  # of a reason's tests


def show(console: Console, report: Report, folder: str) -> None:
    """The table of phases, the verdict with its reasons and causes, and the folder."""
    table = Table(title=None, show_edge=False, pad_edge=False)
    table.add_column("phase")
    for status in Status:
        table.add_column(status.value, justify="right")
    table.add_column("rows from")
    final = final_attempts(report.results)
    sources = {source.phase: source for source in report.provenance.phases}
    for phase in Phase:
        rows = [row for row in final if row.phase is phase]
        source = sources.get(phase.value)
        from_run = "–" if source is None or source.run_id is None else source.run_id[:8]
        if source is not None and source.run_id == report.run_id:
            from_run = "this run"
        elif source is not None and source.finished_at is not None:
            age_h = (report.finished_at - source.finished_at).total_seconds() / 3600
            from_run += f", {age_h:.1f} h old{', stale' if source.stale else ''}"
        table.add_row(
            phase.value, *(str(sum(row.status is each for row in rows)) for each in Status), from_run
        )
    console.print(table)
    counts = report.counts.catalogue
    console.print(
        f"catalogue: {counts.total} tests, {counts.passed} passed, {counts.failed} failed,"
        f" {counts.broken} broken, {counts.skipped} skipped ({_by_category(report)})",
        highlight=False,
    )
    colour = COLOURS[report.verdict.value]
    console.print(f"\n[bold {colour}]{report.verdict.value.upper()}[/]  {terminal(report.headline, 2000)}")
    ids = {row.test: row.id for row in final}
    for reason in report.reasons[:REASONS]:
        console.print(f"  - {terminal(_said(reason, ids), 600)}", highlight=False)
    for notice in report.notices[:REASONS]:
        console.print(f"  target file: {terminal(notice, 600)}", highlight=False)
    for finding in report.findings[:REASONS]:
        said = accepted(report, *finding.explains)
        title = f"{finding.title} ({said})" if said else finding.title
        console.print(f"  {finding.priority.value} {terminal(title, 600)}", highlight=False)
    console.print(f"\nreport: {terminal(folder, 4000)}/report.html", highlight=False, soft_wrap=True)


def show_briefly(console: Console, report: Report, folder: str) -> None:
    """Two lines: the verdict, and where the report lies."""
    colour = COLOURS[report.verdict.value]
    console.print(
        f"[bold {colour}]{report.verdict.value.upper()}[/]  {terminal(report.headline, 2000)}",
        soft_wrap=True,
        highlight=False,
    )
    console.print(f"report: {terminal(folder, 4000)}/report.html", highlight=False, soft_wrap=True)


def show_times(
    console: Console, total_s: float, steps: Mapping[str, float], in_tests: Mapping[str, float]
) -> None:
    """One line: where the time of the command went."""
    tests = sum(in_tests.values())
    known = sum(steps.values())
    parts = [f"{name} {seconds:.1f}" for name, seconds in steps.items() if seconds >= 0.05]
    console.print(
        f"time: {total_s:.1f} s = {' + '.join(parts)} + other {max(0.0, total_s - known):.1f}"
        f" (of it {tests:.1f} s in tests)",
        highlight=False,
        soft_wrap=True,
    )


def compare(console: Console, reports: Sequence[Report]) -> None:
    """Several runs of the same target side by side: verdicts, and the tests that did not end alike."""
    for number, report in enumerate(reports, 1):
        seconds = (report.finished_at - report.started_at).total_seconds()
        console.print(
            f"run {number}: {report.verdict.value}, {seconds:.1f} s, {report.run_id}", highlight=False
        )
    outcomes: dict[str, list[str]] = {}
    for report in reports:
        for row in final_attempts(report.results):
            outcomes.setdefault(f"{row.id} {row.test}", []).append("flaky" if row.flaky else row.status.value)
    differing = {test: seen for test, seen in outcomes.items() if len(set(seen)) > 1}
    if not differing:
        console.print(f"all tests ended alike in {len(reports)} runs")
    for test, seen in differing.items():
        console.print(f"  {terminal(test)}: {' '.join(seen)}", highlight=False)


def _by_category(report: Report) -> str:
    final = final_attempts(report.results)
    parts = []
    for category in Category:
        if category in CATALOGUE_CATEGORIES:
            rows = [row for row in final if row.category is category]
            passed = sum(row.status is Status.PASSED for row in rows)
            parts.append(f"{category.value} {passed}/{len(rows)}")
    return ", ".join(parts)


def _said(reason: Reason, ids: Mapping[str, str]) -> str:
    if not reason.tests:
        return reason.text
    named = ", ".join(ids.get(test, test) for test in reason.tests[:IDS])
    return f"{reason.text} ({named}{', …' if len(reason.tests) > IDS else ''})"
