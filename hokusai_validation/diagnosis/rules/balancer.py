"""The load balancer: listener rules, target health, redirects."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """A wrong route answers 404 or as another service does, from a process that is well."""
    yield from direct(
        case,
        {
            FactKind.WRONG_TARGET_GROUP: Cause.WRONG_TARGET_GROUP,
            FactKind.TARGET_UNHEALTHY: Cause.TARGET_UNHEALTHY,
            FactKind.REDIRECT_DROPS_AUTH: Cause.REDIRECT_DROPS_AUTH,
        },
    )
