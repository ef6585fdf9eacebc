"""What is deployed: counts, rollouts, restarts, versions and configuration."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """Each of these facts is read from ECS or the service itself and names its cause."""
    yield from direct(
        case,
        {
            FactKind.SERVICE_BELOW_DESIRED: Cause.SERVICE_BELOW_DESIRED,
            FactKind.ROLLOUT_FAILED: Cause.ROLLOUT_FAILED,
            FactKind.TASK_RESTARTED: Cause.TASK_RESTARTED,
            FactKind.TASK_DEFINITION_OLD: Cause.TASK_DEFINITION_OLD,
            FactKind.COMMIT_UNEXPECTED: Cause.COMMIT_UNEXPECTED,
            FactKind.CONFIGURATION_DIFFERS: Cause.CONFIGURATION_DIFFERS,
        },
    )
