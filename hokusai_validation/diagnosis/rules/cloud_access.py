"""Our own access to AWS: without it nothing can be said about what AWS sees."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """Refused credentials and a missing permission have the same remedy's owner."""
    yield from direct(
        case,
        {
            FactKind.AWS_CREDENTIALS_REFUSED: Cause.AWS_CREDENTIALS_REFUSED,
            FactKind.AWS_PERMISSION_MISSING: Cause.AWS_CREDENTIALS_REFUSED,
        },
    )
