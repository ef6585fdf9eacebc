"""How urgent a finding is: from what kind of harm it does, to what, to how much, and since when.

| | |
| --- | --- |
| P0 | users are without service, or anyone is let in, now |
| P1 | a promise that a critical test holds is broken, or something essential is about to be |
| P2 | something that is not critical does not work |
| P3 | for when there is time |
"""

from collections.abc import Sequence

from hokusai_validation.diagnosis.advice import Severity, advice
from hokusai_validation.diagnosis.candidates import Candidate, asked_by_us_alone
from hokusai_validation.diagnosis.explanation import Explanation
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.observation import Kind
from hokusai_validation.report import Cause, Duty, Priority
from hokusai_validation.result import Result
from hokusai_validation.topology import Role

WIDE_REACH = 0.25  # of the executed tests
LONG_RUNS = 5  # in a row

_ORDER = tuple(Priority)
_USERS_MEET = (Role.API_GATEWAY, Role.LOAD_BALANCER)

# Where users go on without it, for a while at least.
_NEVER_FIRST = frozenset({Cause.TARGET_UNHEALTHY, Cause.SLOW_DEPENDENCY, Cause.HEALTH_CHECK_PATH})


# Seen at a part, and wrong in whoever asks it.
_THE_APIS_OWN = frozenset({Cause.OPTIONAL_REQUIRED, Cause.HEALTH_ANSWER_WRONG})


def priority(
    explained: Explanation, rows: Sequence[Result], executed: int, runs: int, graph: Graph
) -> Priority:
    """`rows`: the failed tests that the cause explains; `executed`: how many tests were executed in all;
    `runs`: in how many runs in a row it has been seen."""
    cause = explained.candidate
    critical = any(row.critical for row in rows) or _users_meet(explained, graph)
    reach = len(rows) / executed if executed else 0.0
    if asked_by_us_alone(cause) or cause.timing.duty is Duty.ONCE:
        return Priority.P2
    if cause.cause is Cause.DATABASE_SCHEMA and all(one in cause.own for one in explained.explains):
        return Priority.P3  # nothing fails for it: another version may be right with its own tables
    found = _of_harm(cause, critical=critical, graph=graph)
    if found is Priority.P2 and reach >= WIDE_REACH:
        found = Priority.P1
    if cause.timing.duty is Duty.SHARE and cause.cause in (Cause.INTERMITTENT_ERRORS, Cause.KEEP_ALIVE):
        return max(found, Priority.P1 if critical else Priority.P2, key=_ORDER.index)
    if runs >= LONG_RUNS and found in (Priority.P2, Priority.P3):
        found = _ORDER[_ORDER.index(found) - 1]
    return found


def _users_meet(explained: Explanation, graph: Graph) -> bool:
    """Whether what users do there was always answered with an error: work, by the way that they take."""
    cause = explained.candidate
    if cause.timing.duty is not Duty.ALWAYS or cause.instance is not None:
        return False
    entry = {graph.part(role) for role in _USERS_MEET}
    return any(
        each.observation is not None
        and each.observation.kind in (Kind.READ, Kind.WRITE)
        and each.observation.dialled in entry
        for each in explained.explains
    )


def _of_harm(cause: Candidate, *, critical: bool, graph: Graph) -> Priority:
    severity = advice(cause.cause).severity
    component, asker = cause.place, cause.asker
    if asker is None:
        needed = _needed(component, graph)
    else:
        needed = _needed(asker, graph) and graph.breaks(asker, component)
    if severity is Severity.SECURITY:
        return Priority.P1 if cause.cause is Cause.RESET_WITHOUT_KEY else Priority.P0
    if severity is Severity.OUT:
        if graph.is_optional(component):
            return Priority.P2
        if needed and critical and cause.cause not in _NEVER_FIRST:
            return Priority.P0
        return Priority.P1 if critical else Priority.P2
    if severity in (Severity.WRONG, Severity.RISK):
        return (
            Priority.P1
            if critical and (not graph.is_optional(component) or cause.cause in _THE_APIS_OWN)
            else Priority.P2
        )
    if cause.cause is Cause.STORE_NEARLY_FULL:
        return Priority.P3
    return Priority.P2 if critical or cause.cause is Cause.VERSION_MIX else Priority.P3


def _needed(component: str, graph: Graph) -> bool:
    """Whether users are without service when it is out."""
    users = {graph.part(role) for role in _USERS_MEET}
    return component in users or any(graph.breaks(user, component) for user in users if user)
