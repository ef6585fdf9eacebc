"""Phase functional."""

import dagster as dg

from hokusai_validation.assets.phase import build_phase
from hokusai_validation.result import Phase


def build(target: str) -> dg.AssetsDefinition:
    """The asset `functional` of a target."""
    return build_phase(
        target,
        Phase.FUNCTIONAL,
        after=Phase.HEALTH,
        description="Authentication, model registration, database, MLflow, and the circuit breaker held to its contract.",
        kinds={"pytest", "mlflow"},
    )
