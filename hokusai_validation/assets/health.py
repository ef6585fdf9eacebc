"""Phase health."""

import dagster as dg

from hokusai_validation.assets.phase import build_phase
from hokusai_validation.result import Phase


def build(target: str) -> dg.AssetsDefinition:
    """The asset `health` of a target."""
    return build_phase(
        target,
        Phase.HEALTH,
        after=Phase.DISCOVERY,
        description="The infrastructure checks and the health endpoints, each in the state that it must tell truthfully.",
        kinds={"pytest", "http"},
    )
