"""Failed rows in, findings out: the entry of the diagnosis."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from hokusai_validation.diagnosis.advice import advice, fill
from hokusai_validation.diagnosis.explain import Explained, explain
from hokusai_validation.diagnosis.history import History
from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.priority import priority
from hokusai_validation.diagnosis.reproduction import reproduction
from hokusai_validation.diagnosis.rules import hypotheses
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import Fact
from hokusai_validation.report import Cause, Finding
from hokusai_validation.result import Result, now
from hokusai_validation.target import Target

# They say that something is wrong rather than what: of the same priority they come last.
_GENERAL = frozenset(
    {Cause.UNKNOWN, Cause.WRONG_STATUS, Cause.PROXY_ERROR, Cause.NOT_RECOVERED, Cause.ALERT_THRESHOLD}
)
FACTS = 12  # kept with a finding; the rows have them all


def diagnose(
    results: Sequence[Result],
    target: Target,
    history: History | None = None,
    *,
    at: datetime | None = None,
) -> tuple[Finding, ...]:
    """The causes of what failed (and of alerts in what passed), the worst first. Every failed test
    stands in exactly one finding's `explains`. Reads statuses, facts, metrics and evidence of the
    rows, and the target's topology; never raises because of what stands in a row. `at` dates a
    finding that no earlier run had."""
    case = Case(results, target)
    causes = explain(case, hypotheses(case))
    executed = sum(row.executed for row in case.final)
    ordered = sorted(
        (_finding(each, case, history or History(), at or now(), executed) for each in causes),
        key=lambda finding: (
            finding.priority.value,
            finding.cause in _GENERAL,
            -case.graph.depth(finding.component),
            -len(finding.explains),
            finding.key,
        ),
    )
    return tuple(ordered)


def _finding(explained: Explained, case: Case, history: History, at: datetime, executed: int) -> Finding:
    hypothesis, rows = explained.hypothesis, explained.rows
    cause, component = hypothesis.cause, hypothesis.component
    before = history.previous.findings.get(hypothesis.key) if history.previous else None
    runs = before.runs + 1 if before else 1
    known = advice(cause)
    aws = case.target.aws
    service = aws.services[component].service if aws and component in aws.services else component
    named = f"{component} ({hypothesis.instance})" if hypothesis.instance else component
    seen_in = {id(each.row): each.row for each in hypothesis.evidence}
    return Finding(
        key=hypothesis.key,
        cause=cause,
        component=component,
        title=(
            f"{hypothesis.only_from} can't reach {component}, though others can"
            if hypothesis.only_from
            else fill(known.title, component=named, subject=hypothesis.subject, service=service)
        ),
        priority=priority(
            cause,
            component,
            rows or _failed(seen_in.values(), case),
            executed,
            runs,
            case.graph,
            only_from=hypothesis.only_from,
        ),
        explains=tuple(row.test for row in rows),
        facts=_facts(hypothesis),
        follows=tuple(_consequence(effect) for effect in explained.effects),
        impact=fill(known.impact, component=component, subject=hypothesis.subject, service=service),
        reproduction=reproduction(cause, component, rows or tuple(seen_in.values()), case.target),
        remedy=tuple(
            fill(step, component=component, subject=hypothesis.subject, service=service)
            for step in known.remedy
        ),
        team=case.graph.team(component),
        effort_h=known.effort_h,
        quick_win=known.quick_win,
        since=before.since if before else at,
        seen_runs=runs,
    )


def _failed(rows: Iterable[Result], case: Case) -> tuple[Result, ...]:
    failed = {id(row) for row in case.failed}
    return tuple(row for row in rows if id(row) in failed)


def _facts(hypothesis: Hypothesis) -> tuple[Fact, ...]:
    return tuple(dict.fromkeys(each.fact for each in hypothesis.evidence))[:FACTS]


def _consequence(effect: Hypothesis) -> str:
    title = fill(advice(effect.cause).title, component=effect.component, subject=effect.subject)
    tests = len({each.test for each in effect.evidence})
    return f"{title} (seen by {tests} test{'' if tests == 1 else 's'})"
