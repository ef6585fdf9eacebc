"""Certificates: about to expire, or not good at all."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """A handshake that fails stops every client now, an expiring certificate later."""
    yield from direct(
        case,
        {
            FactKind.CERTIFICATE_EXPIRING: Cause.CERTIFICATE_EXPIRING,
            FactKind.TLS_FAILED: Cause.TLS_FAILED,
        },
    )
