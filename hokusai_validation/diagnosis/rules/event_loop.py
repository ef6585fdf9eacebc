"""A process that stops answering at all while a dependency is out: its event loop waits."""

import re
from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import by_component, direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause

_NEVER_WAIT = re.compile(r"/(live|health|ready)\b")
_SILENCE = (FactKind.READ_TIMED_OUT, FactKind.CONNECT_TIMED_OUT)


def rule(case: Case) -> Iterator[Hypothesis]:
    """Liveness depends on nothing and health answers from what is known, so where one of them stops
    while a dependency is out (a test's own fault), and only then, the loop was blocked."""
    yield from direct(case, {FactKind.EVENT_LOOP_BLOCKED: Cause.EVENT_LOOP_BLOCKED})
    silent = by_component(case.of(*_SILENCE, where=lambda each: bool(_NEVER_WAIT.search(each.fact.seen))))
    for component, evidence in silent.items():
        if component == "api" and not any(each.steady for each in evidence):
            yield Hypothesis(Cause.EVENT_LOOP_BLOCKED, component, evidence, subject=evidence[0].fact.seen)
