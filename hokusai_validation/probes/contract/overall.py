"""The rule by which services' states make the overall status."""

from collections.abc import Mapping, Set

from hokusai_validation.topology import Role

# Services whose loss alone makes the API unhealthy.
CRITICAL: Set[str] = frozenset({Role.DATABASE})
_WELL = ("healthy", "disabled")


def overall(services: Mapping[str, str], critical: Set[str] = CRITICAL) -> str:
    """`healthy`, `degraded` or `unhealthy`; a disabled service does not count."""
    counted = {name: state for name, state in services.items() if state != "disabled"}
    if all(state in _WELL for state in counted.values()):
        return "healthy"
    unhealthy = {name for name, state in counted.items() if state == "unhealthy"}
    if unhealthy & critical or (unhealthy and "healthy" not in counted.values()):
        return "unhealthy"
    return "degraded"
