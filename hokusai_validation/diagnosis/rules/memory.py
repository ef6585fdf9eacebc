"""Memory that grows with the number of requests."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """Seen over a run of many requests after a warm-up, so it is no cache that fills."""
    yield from direct(case, {FactKind.MEMORY_GROWTH: Cause.MEMORY_GROWTH})
