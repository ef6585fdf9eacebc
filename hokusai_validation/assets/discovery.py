"""Phase discovery."""

import dagster as dg

from hokusai_validation.assets.phase import build_phase
from hokusai_validation.result import Phase


def build(target: str) -> dg.AssetsDefinition:
    """The asset `discovery` of a target."""
    return build_phase(
        target,
        Phase.DISCOVERY,
        after=Phase.ENVIRONMENT,
        description="ECS services and tasks, Cloud Map, load balancer rules, target health, RDS, and whether each service reaches the others.",
        kinds={"pytest", "aws"},
    )
