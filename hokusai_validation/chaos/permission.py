"""Whether a fault may be put on a target: each kind by name, never by default."""

import os
from collections.abc import Sequence

from hokusai_validation.chaos.faults.base import Fault
from hokusai_validation.errors import NotPermitted
from hokusai_validation.target import FaultKind, Target

# `--confirm NAME` sets it for the processes that it starts.
CONFIRM_VARIABLE = "HOKUSAI_CONFIRM"
LEAST_INSTANCES = 2


def check_permitted(faults: Sequence[Fault], target: Target, *, confirmed: str | None = None) -> None:
    """Raises NotPermitted, with what to change, when any of the faults may not be put on."""
    for fault in faults:
        if fault.kind not in target.permissions.faults:
            raise NotPermitted(
                f"fault '{fault.kind.value}' not permitted on this target: add it to permissions.faults of"
                f" '{target.name}' to permit {fault}"
            )
    if not target.production or not faults:
        return
    if confirmed is None:
        confirmed = os.environ.get(CONFIRM_VARIABLE)
    if confirmed != target.name:
        raise NotPermitted(
            f"target '{target.name}' is production: give --confirm {target.name} to put faults on it"
        )
    problem = blast_radius(faults, target)
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


def plan(faults: Sequence[Fault], target: Target, *, confirmed: str | None = None) -> tuple[str, ...]:
    """What would be done, line by line, and whether it may: the dry run."""
    lines = [f"put on: {fault}" for fault in faults]
    try:
        check_permitted(faults, target, confirmed=confirmed)
    except NotPermitted as error:
        lines.append(f"not permitted: {error}")
    return tuple(lines)
