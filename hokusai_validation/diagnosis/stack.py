"""The state of every part of the stack: what the picture at the top of a report is drawn from."""

from collections.abc import Sequence

from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.report import Finding, NodeState, Priority, StackNode
from hokusai_validation.result import Result, Status
from hokusai_validation.target import Target

# A finding of lower priority is a remark on a part that works.
_STATES_A_CAUSE = frozenset({Priority.P0, Priority.P1, Priority.P2})


def stack(target: Target, final: Sequence[Result], findings: Sequence[Finding]) -> tuple[StackNode, ...]:
    """Every component of the topology, in its order; places of findings that the topology does not
    name come last. `final` are the last attempts."""
    graph = Graph(target)
    causes: dict[str, list[str]] = {}
    reached: dict[str, list[str]] = {}
    for finding in findings:
        if finding.priority not in _STATES_A_CAUSE:
            continue
        causes.setdefault(finding.component, []).append(finding.key)
        above = graph.above(finding.component)
        explained = set(finding.explains)
        failed = {row.component for row in final if row.test in explained and row.status is Status.FAILED}
        for name in sorted(failed & above):
            reached.setdefault(name, []).append(finding.key)
    passed = {row.component for row in final if row.status is Status.PASSED}
    nodes = [
        StackNode(
            name=name,
            depends_on=component.depends_on,
            critical=component.critical,
            optional=component.optional,
            state=_state(name, component.deployed, name in causes, name in reached, name in passed),
            findings=tuple(causes.get(name, ())),
            reached_by=tuple(reached.get(name, ())),
        )
        for name, component in target.topology.items()
    ]
    nodes += [
        StackNode(name=name, state=NodeState.CAUSE, findings=tuple(keys))
        for name, keys in causes.items()
        if name not in target.topology
    ]
    return tuple(nodes)


def _state(name: str, deployed: bool, cause: bool, reached: bool, passed: bool) -> NodeState:
    if cause:
        return NodeState.CAUSE
    if reached:
        return NodeState.AFFECTED
    if not deployed:
        return NodeState.ABSENT
    return NodeState.WORKING if passed else NodeState.NOT_SEEN
