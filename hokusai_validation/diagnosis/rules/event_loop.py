"""A process that stops answering at all while a dependency is out: its event loop waits."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """Liveness depends on nothing, so where it stops with a dependency the loop was blocked."""
    yield from direct(case, {FactKind.EVENT_LOOP_BLOCKED: Cause.EVENT_LOOP_BLOCKED})
