"""`health_report.md`: is it healthy, since when not, and why; one page for operations."""

from collections.abc import Iterator

from hokusai_validation.report import Report
from hokusai_validation.reporting import views
from hokusai_validation.reporting.escape import markdown
from hokusai_validation.result import Status

SCORE_TITLES = {
    "infrastructure_health": "Infrastructure health",
    "service_availability": "Service availability",
    "execution_completion": "Execution completion",
    "test_success": "Test success",
    "registration_success": "Registration success",
}


def render(report: Report) -> bytes:
    """The whole page."""
    return ("\n".join(_lines(report)) + "\n").encode()


def _lines(report: Report) -> Iterator[str]:
    yield f"# {markdown(report.target)}: {report.verdict}"
    yield ""
    yield f"**{markdown(report.headline, 600)}**"
    yield ""
    yield f"Run `{report.run_id}`, {report.started_at:%Y-%m-%d %H:%M:%S %Z} to {report.finished_at:%H:%M:%S %Z}."
    for reason in report.reasons:
        yield f"- {markdown(reason, 600)}"
    yield from _scores(report)
    yield from _causes(report)
    yield from _components(report)
    yield from _counts(report)
    yield from _rows(report)
    yield from _trend(report)
    yield from _provenance(report)


def _scores(report: Report) -> Iterator[str]:
    previous = {point.run_id: point.scores for point in report.trend.points if point.run_id != report.run_id}
    before = previous.get(report.trend.previous_run_id or "")
    yield from ("", "## Scores", "", "| score | now | previous run |", "| --- | ---: | ---: |")
    for name, title in SCORE_TITLES.items():
        old = views.percent(before.get(name)) if before is not None else "n/a"
        yield f"| {title} | {views.percent(getattr(report.scores, name))} | {old} |"


def _causes(report: Report) -> Iterator[str]:
    yield from ("", "## Causes", "")
    if not report.findings:
        yield "No cause for concern was found."
    for finding in report.findings:
        since = f", since {finding.since:%Y-%m-%d %H:%M %Z}" if finding.since else ""
        yield f"### {finding.priority}: {markdown(finding.title)}"
        yield ""
        yield f"{markdown(finding.impact, 500)} Component: {markdown(finding.component)}{since};"
        yield f"explains {len(finding.explains)} tests. Details and remedy: `handoff.md`."
        if said := views.accepted(report, *finding.explains):
            yield f"It is {markdown(said, 600)}."
        yield ""


def _components(report: Report) -> Iterator[str]:
    yield from ("", "## Components", "", "| component | state | tests passed |", "| --- | --- | ---: |")
    for row in views.matrix(report):
        cell = row.overall
        yield f"| {markdown(row.component)} | {cell.status} | {cell.passed} of {cell.total} |"


def _counts(report: Report) -> Iterator[str]:
    catalogue = report.counts.catalogue
    yield from ("", "## Tests", "")
    yield (
        f"The catalogue's {catalogue.total}: {catalogue.passed} passed, {catalogue.failed} failed,"
        f" {catalogue.broken} broken, {catalogue.skipped} skipped."
    )
    yield from (
        "",
        "| category | passed | failed | broken | skipped |",
        "| --- | ---: | ---: | ---: | ---: |",
    )
    for category, counts in report.counts.by_category.items():
        cells = " | ".join(str(counts.get(status, 0)) for status in Status)
        yield f"| {category} | {cells} |"
    reasons = views.skipped_reasons(report)
    if reasons:
        yield from ("", "Not executed:", "")
        for reason, count in reasons:
            yield f"- {count}: {markdown(reason)}"


def _rows(report: Report) -> Iterator[str]:
    rows = views.not_passed(report)
    if not rows:
        return
    yield from (
        "",
        "## Failed and broken",
        "",
        "| id | test | status | message |",
        "| --- | --- | --- | --- |",
    )
    for row in rows:
        status = f"{row.status}{' (critical)' if row.critical else ''}"
        said = views.accepted(report, row.test)
        seen = f"{markdown(row.message)}{f' ({markdown(said)})' if said else ''}"
        yield f"| {row.id} | {markdown(row.test)} | {status} | {seen} |"


def _trend(report: Report) -> Iterator[str]:
    changes = [change for change in report.trend.against_previous if change.significant]
    if not changes:
        return
    yield from ("", "## Changed since the previous run", "")
    for change in changes:
        word = "worse" if change.worse else "better"
        yield (
            f"- {markdown(change.what)}: {markdown(str(change.before))} → {markdown(str(change.after))}"
            f" ({word}{', ' + markdown(change.test) if change.test else ''})"
        )


def _provenance(report: Report) -> Iterator[str]:
    provenance = report.provenance
    if provenance.deployments:
        yield from ("", "## What was deployed", "", "| component | task definition | commit | since |")
        yield "| --- | --- | --- | --- |"
        for item in provenance.deployments:
            since = f"{item.deployed_at:%Y-%m-%d %H:%M:%S %Z}" if item.deployed_at else "unknown"
            yield (
                f"| {markdown(item.component)} | {markdown(item.task_definition or 'unknown')}"
                f" | {markdown(item.commit or 'unknown')} | {since} |"
            )
    for change in provenance.changed_during_run:
        yield f"- Changed during the run: {markdown(change)}"
    yield from (
        "",
        "## Where the rows are from",
        "",
        "| phase | run | finished | stale | target (SHA-256) |",
        "| --- | --- | --- | --- | --- |",
    )
    for source in provenance.phases:
        finished = f"{source.finished_at:%Y-%m-%d %H:%M:%S %Z}" if source.finished_at else "–"
        yield (
            f"| {source.phase} | {source.run_id or 'none'} | {finished} | {'yes' if source.stale else 'no'} |"
            f" {source.target_hash[: views.HASH_SHOWN] if source.target_hash else '–'} |"
        )
    troubles = views.troubles(report)
    if troubles:
        yield from ("", "## What went wrong on the rows' way", "")
        yield "Through no fault of the target's:"
        yield ""
        for phase, text in troubles:
            yield f"- {phase}: {markdown(text)}"
