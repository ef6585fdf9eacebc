"""What a service says of itself against what others see of it."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """A health answer that is wrong keeps a dead service in the balancer, or drops a good one."""
    yield from direct(case, {FactKind.HEALTH_ANSWER_WRONG: Cause.HEALTH_ANSWER_WRONG})
