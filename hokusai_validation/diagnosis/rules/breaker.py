"""The circuit breaker: one that never closes again, and one that does not keep its contract."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """Calls that reach a dependency behind an open breaker break the contract as well."""
    yield from direct(
        case,
        {
            FactKind.BREAKER_STUCK_OPEN: Cause.BREAKER_STUCK_OPEN,
            FactKind.BREAKER_CONTRACT: Cause.BREAKER_CONTRACT,
            FactKind.BREAKER_LETS_CALLS_THROUGH: Cause.BREAKER_CONTRACT,
        },
    )
