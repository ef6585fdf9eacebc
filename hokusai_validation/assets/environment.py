"""Phase environment."""

import dagster as dg

from hokusai_validation.assets.phase import build_phase
from hokusai_validation.result import Phase


def build(target: str) -> dg.AssetsDefinition:
    """The asset `environment` of a target."""
    return build_phase(
        target,
        Phase.ENVIRONMENT,
        after=None,
        description="Credentials, versions, names, TLS, the task definition against what was declared, and what is deployed.",
        kinds={"pytest", "aws"},
    )
