"""Phase load."""

import dagster as dg

from hokusai_validation.assets.phase import build_phase
from hokusai_validation.result import Phase


def build(target: str) -> dg.AssetsDefinition:
    """The asset `load` of a target."""
    return build_phase(
        target,
        Phase.LOAD,
        after=Phase.FUNCTIONAL,
        description="The service under load: latency from the intended send time, throughput, errors.",
        kinds={"pytest", "http"},
    )
