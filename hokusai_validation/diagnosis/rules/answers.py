"""Answers of another status or form than promised, from a process that answers."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """Weak evidence: whatever explains these answers goes before them."""
    yield from direct(
        case,
        {
            FactKind.UNEXPECTED_STATUS: Cause.WRONG_STATUS,
            FactKind.SCHEMA_MISMATCH: Cause.WRONG_STATUS,
            FactKind.PROTOCOL_VIOLATED: Cause.WRONG_STATUS,
            FactKind.PROXY_ERROR: Cause.PROXY_ERROR,
        },
    )
