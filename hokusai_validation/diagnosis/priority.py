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
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.report import Cause, Priority
from hokusai_validation.result import Result

WIDE_REACH = 0.25  # of the executed tests
LONG_RUNS = 5  # in a row

_ORDER = tuple(Priority)
_USERS_MEET = ("api", "load_balancer")

# Where users go on without it, for a while at least.
_NEVER_FIRST = frozenset({Cause.TARGET_UNHEALTHY, Cause.SLOW_DEPENDENCY})


def priority(
    cause: Cause,
    component: str,
    rows: Sequence[Result],
    executed: int,
    runs: int,
    graph: Graph,
    *,
    only_from: str | None = None,
) -> Priority:
    """`rows`: the failed tests that it explains; `executed`: how many tests were executed in all;
    `runs`: in how many runs in a row it has been seen; `only_from`: the one component that is
    without it, while others have it."""
    critical = any(row.critical for row in rows)
    reach = len(rows) / executed if executed else 0.0
    found = _of_harm(cause, component, critical=critical, graph=graph, only_from=only_from)
    if found is Priority.P2 and reach >= WIDE_REACH:
        found = Priority.P1
    if runs >= LONG_RUNS and found in (Priority.P2, Priority.P3):
        found = _ORDER[_ORDER.index(found) - 1]
    return found


def _of_harm(
    cause: Cause, component: str, *, critical: bool, graph: Graph, only_from: str | None
) -> Priority:
    severity = advice(cause).severity
    if only_from is None:
        needed = _needed(component, graph)
    else:
        needed = _needed(only_from, graph) and graph.breaks(only_from, component)
    if severity is Severity.SECURITY:
        return Priority.P1 if cause is Cause.RESET_WITHOUT_KEY else Priority.P0
    if severity is Severity.OUT:
        if graph.is_optional(component):
            return Priority.P2
        if needed and critical and cause not in _NEVER_FIRST:
            return Priority.P0
        return Priority.P1 if critical else Priority.P2
    if severity is Severity.WRONG:
        return Priority.P1 if critical else Priority.P2
    if severity is Severity.RISK:
        return Priority.P1 if critical else Priority.P2
    return Priority.P2 if critical else Priority.P3


def _needed(component: str, graph: Graph) -> bool:
    """Whether users are without service when it is out."""
    return component in _USERS_MEET or any(graph.breaks(user, component) for user in _USERS_MEET)
