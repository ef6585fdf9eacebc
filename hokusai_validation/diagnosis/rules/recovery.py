"""What did not come back after a fault was taken off, or was not available while it was on."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """Both say that the component does not bear the loss of what it depends on."""
    yield from direct(
        case,
        {
            FactKind.NOT_RECOVERED: Cause.NOT_RECOVERED,
            FactKind.AVAILABILITY: Cause.NOT_RECOVERED,
        },
    )
