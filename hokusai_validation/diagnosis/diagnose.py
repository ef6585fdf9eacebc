"""Failed rows in, findings out: the entry of the diagnosis."""

from collections.abc import Sequence
from datetime import datetime

from hokusai_validation.diagnosis.history import History
from hokusai_validation.facts import Fact
from hokusai_validation.report import Cause, Finding, Priority
from hokusai_validation.result import Result, Status, final_attempts, now
from hokusai_validation.target import Target


def diagnose(
    results: Sequence[Result],
    target: Target,
    history: History | None = None,
    *,
    at: datetime | None = None,
) -> tuple[Finding, ...]:
    """The causes of what failed, worst first. Reads statuses, facts, metrics and evidence of the
    rows, and the target's topology; never raises because of what stands in a row."""
    at = at or now()
    failed = [row for row in final_attempts(results) if row.status is Status.FAILED]
    by_component: dict[str, list[Result]] = {}
    for row in failed:
        by_component.setdefault(row.component, []).append(row)
    findings = []
    for component, rows in sorted(by_component.items()):
        facts: tuple[Fact, ...] = tuple(dict.fromkeys(fact for row in rows for fact in row.facts))
        node = target.topology.get(component)
        findings.append(
            Finding(
                key=f"{Cause.UNKNOWN.value}:{component}",
                cause=Cause.UNKNOWN,
                component=component,
                title=f"{component}: {len(rows)} tests failed, cause not known",
                priority=Priority.P1 if any(row.critical for row in rows) else Priority.P2,
                explains=tuple(row.test for row in rows),
                facts=facts,
                team=node.team if node else "",
                since=at,
            )
        )
    return tuple(findings)
