"""The verdict of a target, from its newest rows: the table of docs/architecture.md, line by line.

| what the rows say | verdict |
| --- | --- |
| a critical test failed, and again where that could have been of the moment | `unhealthy` |
| a critical test *followed*: skipped for a part that was not well before it began, a finding tells why, and users are without service when that part is out | `unhealthy` |
| else: a critical test is broken, or skipped for a reason that neither the target file declares nor a finding explains (the time budget too), or its phase has no fresh rows | `inconclusive` |
| else: a failed test is accepted by a waiver, a critical test followed from another part, a test that is not critical failed, a critical one was flaky, an alert threshold was passed, the three views disagree | `degraded` |
| else | `healthy` |

"Again" is the suite's doing: after all others it runs once more what can have been of the moment (load
and chaos aside), until one of its kind has failed twice. A test whose last row says `failed` has had its
second chance, or could not have ended otherwise.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from hokusai_validation.diagnosis.alerts import Alert, alerts
from hokusai_validation.diagnosis.left_behind import named_before, of_a_killed_run, still_there
from hokusai_validation.diagnosis.orphaned import OrphanedFault, orphaned_faults
from hokusai_validation.diagnosis.rows import declared_skip, is_stale, was_selected
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.diagnosis.waivers import Waivers, waivers
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Finding, Reason, Report, Verdict
from hokusai_validation.result import (
    CATALOGUE_CATEGORIES,
    Category,
    Phase,
    Result,
    SkipReason,
    Status,
    final_attempts,
)
from hokusai_validation.target import Target


@dataclass(frozen=True)
class Judgement:
    """A verdict and, strongest first, the sentences that it rests on."""

    verdict: Verdict
    reasons: tuple[Reason, ...]


def judge(
    rows: Sequence[Result],
    target: Target,
    findings: Iterable[Finding] = (),
    accepted: Waivers | None = None,
) -> Judgement:
    """The verdict that these rows (all attempts; stale ones already emptied) carry; the findings that
    were made of them explain tests that were not executed. `accepted` is what the target's waivers
    cover."""
    accepted = accepted or Waivers()
    final = final_attempts(rows)
    critical = [row for row in final if row.critical]
    graph = Graph(target)
    faulty = {finding.component for finding in findings}
    followed = [row for row in critical if _followed(row, faulty, graph)]
    hard = [row for row in followed if _is_hard(row, graph, faulty - accepted.places)]
    unhealthy = _critical_failures([row for row in critical if row.test not in accepted.tests])
    unhealthy += _consequences(hard)
    inconclusive = _not_judged([row for row in critical if row not in followed], target)
    if not any(row.executed for row in final):
        inconclusive.append(Reason(text="no test was executed"))
    if not target.catalogue and not target.checks:
        inconclusive.append(
            Reason(text="the catalogue does not apply to this target, and its file has no [[checks]]")
        )
    degraded = _accepted(accepted)
    degraded += _impaired(rows, [row for row in final if row.test not in accepted.tests], target)
    degraded += _consequences([row for row in followed if row not in hard])
    left = _left_on(rows)
    if unhealthy:
        verdict = Verdict.UNHEALTHY
    elif inconclusive or left:
        # With a fault of ours still on, nothing else that was seen counts for much.
        verdict = Verdict.INCONCLUSIVE
    elif degraded:
        verdict = Verdict.DEGRADED
    else:
        verdict = Verdict.HEALTHY
    return Judgement(verdict, (*left, *unhealthy, *inconclusive, *degraded))


def exit_status(
    report: Report,
    target: Target,
    asked: Collection[Phase],
    *,
    fail_on_degraded: bool = False,
) -> int:
    """What the command line ends with: 3 where a fault of ours could not be undone, else 1
    unhealthy (or degraded, with `fail_on_degraded`), 3 could not be judged, else 0. Only the phases asked for count, and of them only the tests selected."""
    rows = [row for row in report.results if row.phase in asked and was_selected(row)]
    accepted = waivers(rows, report.findings, target, report.finished_at.date())
    verdict = judge(rows, target, report.findings, accepted).verdict
    if orphaned_faults(rows):
        return 3
    if verdict is Verdict.UNHEALTHY:
        return 1
    if verdict is Verdict.INCONCLUSIVE:
        return 3
    return 1 if verdict is Verdict.DEGRADED and fail_on_degraded else 0


def headline(verdict: Verdict, rows: Sequence[Result], target: Target, causes: Sequence[str]) -> str:
    """One sentence or two for the top of every document. Faults that are still on lead it, and what a
    killed run had changed; `causes` are the titles of the findings, worst first."""
    parts = []
    left_on = orphaned_faults(rows)
    if left_on:
        parts.append(
            f"{_number(len(left_on), 'fault')} of ours could not be undone and may still be on: "
            + "; ".join(item.sentence() for item in left_on)
        )
    parts += filter(None, [of_a_killed_run(rows)])
    name = f"{target.name} is {verdict.value}"
    if verdict is Verdict.INCONCLUSIVE:
        name = f"{target.name} could not be judged (inconclusive)"
    if causes:
        more = f", and {len(causes) - 1} more" if len(causes) > 1 else ""
        name += f": {causes[0].rstrip('.')}{more}"
    parts.append(name)
    parts += filter(None, [named_before(rows), still_there(rows)])
    parts += _counted(final_attempts(rows), target)
    return ". ".join(parts) + "."


def _counted(final: Sequence[Result], target: Target) -> list[str]:
    """How many tests passed: of the catalogue, and of the target's own checks where it has any."""
    own = [row for row in final if row.category is Category.CHECK]
    well = sum(row.status is Status.PASSED for row in own)
    checks = f"{well} of {_number(len(own), 'check')} of its own passed"
    of_catalogue = [row for row in final if row.category in CATALOGUE_CATEGORIES]
    if not target.catalogue:
        return [f"{checks}; the {len(of_catalogue)} catalogued tests do not apply to this target"]
    passed = sum(row.status is Status.PASSED for row in of_catalogue)
    counted = f"{passed} of the {len(of_catalogue)} catalogued tests passed"
    undoable = sum(row.status is Status.SKIPPED and declared_skip(row, target) for row in of_catalogue)
    if undoable:
        counted += f", {undoable} of the {len(of_catalogue)} could not be executed on this target"
    return [counted, checks] if own else [counted]


def left_on(rows: Iterable[Result]) -> tuple[OrphanedFault, ...]:
    """The faults that rows say are still on."""
    return orphaned_faults(rows)


def _critical_failures(critical: Iterable[Result]) -> list[Reason]:
    failed = [row for row in critical if row.status is Status.FAILED]
    return [_about(failed, "critical test failed", "critical tests failed")] if failed else []


def _followed(row: Result, faulty: Collection[str], graph: Graph) -> bool:
    """Whether a test was not executed for a part that is at fault itself, or that stands on one that is."""
    if row.skip_reason is not SkipReason.UNHEALTHY_BEFORE or row.blocked_by is None:
        return False
    part = graph.component_of(row.blocked_by)
    return part in faulty or not graph.below(part).isdisjoint(faulty)


def _is_hard(row: Result, graph: Graph, faulty: Collection[str]) -> bool:
    """Whether users are without service by what a test was not executed for, and nobody accepted it."""
    return graph.is_critical(row.blocked_by or "") and _followed(row, faulty, graph)


def _accepted(accepted: Waivers) -> list[Reason]:
    return [
        Reason(
            text=f"{_number(len(each.tests), 'failed test')} accepted by {each.owner} until {each.until}"
            f" ({each.what}): {each.reason}",
            tests=tuple(each.tests),
        )
        for each in accepted.applied
    ]


def _consequences(followed: Sequence[Result]) -> list[Reason]:
    """A sentence for each part that critical tests were not executed for."""
    return [
        _about(
            [row for row in followed if row.blocked_by == part],
            f"critical test was not executed, as {part} was not well before it",
            f"critical tests were not executed, as {part} was not well before them",
        )
        for part in dict.fromkeys(row.blocked_by for row in followed)
    ]


def _not_judged(critical: Sequence[Result], target: Target) -> list[Reason]:
    broken = [row for row in critical if row.status is Status.BROKEN]
    stale = [row for row in critical if is_stale(row)]
    missing = [row for row in critical if not was_selected(row) and not declared_skip(row, target)]
    skipped = [
        row
        for row in critical
        if row.status is Status.SKIPPED
        and was_selected(row)
        and not is_stale(row)
        and not declared_skip(row, target)
    ]
    reasons = []
    if broken:
        reasons.append(
            _about(broken, "critical test could not be judged", "critical tests could not be judged")
        )
    if skipped:
        reasons.append(
            _about(
                skipped,
                "critical test was skipped for a reason that the target file does not declare",
                "critical tests were skipped for reasons that the target file does not declare",
            )
        )
    for rows, why in ((stale, "only rows older than the newest deployment"), (missing, "no rows")):
        for phase in Phase:
            of_phase = [row for row in rows if row.phase is phase]
            if of_phase:
                begins = f"phase {phase.value} has {why} for "
                reasons.append(_about(of_phase, "critical test", "critical tests", begins=begins))
    return reasons


def _impaired(rows: Sequence[Result], final: Sequence[Result], target: Target) -> list[Reason]:
    reasons = []
    failed = [row for row in final if row.status is Status.FAILED and not row.critical]
    if failed:
        reasons.append(
            _about(failed, "test that is not critical failed", "tests that are not critical failed")
        )
    flaky = [row for row in final if row.critical and row.status is Status.PASSED and row.flaky]
    if flaky:
        reasons.append(
            _about(flaky, "critical test passed at its second attempt only", "critical tests were flaky")
        )
    passed: tuple[Alert, ...] = alerts(final, target)
    reasons += [Reason(text=f"alert threshold passed: {alert.sentence}") for alert in passed]
    views = {
        fact.component
        for row in final
        for fact in row.facts
        if row.executed and fact.kind in (FactKind.HEALTH_ANSWER_WRONG, FactKind.HEALTH_CLAIMS_WELL)
    }
    if views:
        reasons.append(Reason(text=f"the three views of {', '.join(sorted(views))} disagree"))
    return reasons


def _left_on(rows: Iterable[Result]) -> list[Reason]:
    left = orphaned_faults(rows)
    return [Reason(text=f"{_number(len(left), 'fault')} of ours could not be undone")] if left else []


def _about(rows: Sequence[Result], one: str, many: str, *, begins: str = "") -> Reason:
    text = f"{begins}{len(rows)} {one if len(rows) == 1 else many}"
    return Reason(text=text, tests=tuple(row.test for row in rows))


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
