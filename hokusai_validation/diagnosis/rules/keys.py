"""API keys: good ones refused, bad ones accepted, secrets that go where they should not."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """A key that the auth service itself accepts and the gateway refuses was asked for, or read, in
    the wrong form; a key that both refuse is a bad key."""
    yield from direct(
        case,
        {
            FactKind.KEY_FORM_REFUSED: Cause.KEY_FORM_REFUSED,
            FactKind.KEY_REFUSED: Cause.KEY_REFUSED,
            FactKind.BAD_KEY_ACCEPTED: Cause.BAD_KEY_ACCEPTED,
            FactKind.STALE_KEY_ACCEPTED: Cause.STALE_KEY_ACCEPTED,
            FactKind.PROBE_NEEDS_KEY: Cause.PROBE_NEEDS_KEY,
            FactKind.RESET_WITHOUT_KEY: Cause.RESET_WITHOUT_KEY,
            FactKind.SECRET_LEAKED: Cause.SECRET_LEAKED,
            FactKind.CALLER_KEY_FORWARDED: Cause.SECRET_LEAKED,
        },
    )
