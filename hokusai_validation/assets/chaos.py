"""Phase chaos."""

import dagster as dg

from hokusai_validation.assets.phase import build_phase
from hokusai_validation.result import Phase


def build(target: str) -> dg.AssetsDefinition:
    """The asset `chaos` of a target."""
    return build_phase(
        target,
        Phase.CHAOS,
        after=Phase.LOAD,
        description="Real faults, proven to have taken effect, undone, and recovery timed.",
        kinds={"pytest", "toxiproxy"},
    )
