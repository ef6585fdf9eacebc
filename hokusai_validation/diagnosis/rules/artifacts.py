"""The artifact store: bytes that came back other than they went, and a store that fails."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """Damage is worse than failure: nobody notices it until a model is loaded."""
    yield from direct(
        case,
        {
            FactKind.ARTIFACT_DAMAGED: Cause.ARTIFACT_DAMAGED,
            FactKind.ARTIFACT_STORE_FAILED: Cause.ARTIFACT_STORE_FAILED,
        },
    )
