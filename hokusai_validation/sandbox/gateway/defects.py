"""Deliberately wrong variants of the gateway, switched on by GATEWAY_DEFECTS."""

from hokusai_validation.sandbox.gateway.wiring import Wiring


def wire(names: tuple[str, ...]) -> Wiring:
    """The wiring with these defects.

    Raises ValueError for a name that is not known."""
    if names:
        raise ValueError(f"GATEWAY_DEFECTS names {names[0]!r}, which is not known.")
    return Wiring()
