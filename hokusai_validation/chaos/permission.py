"""Whether faults may be put on a target: each kind as the gate says, and on production no more than
one instance suffers."""

from collections.abc import Sequence

from hokusai_validation.chaos.faults.base import Fault
from hokusai_validation.errors import NotPermitted
from hokusai_validation.permission import Gate
from hokusai_validation.target import FaultKind, Target

LEAST_INSTANCES = 2


def check_permitted(faults: Sequence[Fault], gate: Gate) -> None:
    """Raises NotPermitted, with what to change, when any of the faults may not be put on."""
    for fault in faults:
        gate.check(fault.kind.value)
    problem = blast_radius(faults, gate.target) if gate.target.production else None
    if problem:
        raise NotPermitted(f"{problem}; on a production target one instance of at least two may suffer")


def blast_radius(faults: Sequence[Fault], target: Target) -> str | None:
    """Why the faults together are more than one instance of a service with at least two, or None.

    An AWS fault looks at the service itself when it is put on (`StopTask`), or is bounded by its
    template (FIS)."""
    suffering = {f.component for f in faults if f.kind not in (FaultKind.STOP_TASK, FaultKind.FIS)}
    instances = {each.name for each in target.instances}
    shared = sorted(suffering - instances)
    if shared:
        return f"{', '.join(shared)} is no API instance, and everything depends on it"
    if len(suffering) > 1:
        return f"{', '.join(sorted(suffering))} would suffer at once"
    if suffering and len(instances) < LEAST_INSTANCES:
        return f"the target lists {len(instances)} instance(s)"
    return None


def plan(faults: Sequence[Fault], gate: Gate) -> tuple[str, ...]:
    """What would be done, line by line, and whether it may: the dry run."""
    lines = [f"put on: {fault}" for fault in faults]
    try:
        check_permitted(faults, gate)
    except NotPermitted as error:
        lines.append(f"not permitted: {error}")
    return tuple(lines)
