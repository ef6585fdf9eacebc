"""What has hung in this run: it is asked again with a shorter limit, as is whatever is asked where several
questions hung; and an address at which none was answered since is asked no more for a while. One process's knowledge is that of
all beside it. What hangs while a fault of ours is on, or was a moment ago, counts for nothing."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from hokusai_validation.errors import UnhealthyBefore
from hokusai_validation.observation import ErrorClass, Observation
from hokusai_validation.resources import own_faults, shared
from hokusai_validation.resources.places import address

# Of the limit that a question would have, but no less than this: what only got slow still answers.
SHARE, LEAST_S = 0.2, 2.0
# So many different questions at one address, or it does not count as answering nothing.
DIFFERENT = 3
# So many, and whatever is asked there has less time.
SEVERAL = 2
# After this long an address that answered nothing is asked again.
AGAIN_S = 20.0
AFTER_OURS_S = 5.0
_HUNG = frozenset({ErrorClass.READ_TIMEOUT, ErrorClass.CONNECT_TIMEOUT})


@dataclass(frozen=True, order=True)
class Asked:
    """A question as it is known again: at which address, and which operation of the table."""

    host: str
    port: int | None
    operation: str


_guard = threading.Lock()
_hung: set[Asked] = set()
# Address -> the operations that got no answer there since one did, and when they were last asked.
_silent: dict[tuple[str, int | None], dict[str, float]] = {}


def limit_of(asked: Asked, limit_s: float, component: str) -> float:
    """How long to wait for an answer, where `limit_s` would be right for one that never hung.

    Raises UnhealthyBefore when the address was seen to answer nothing."""
    if own_faults.any_on():
        return limit_s
    shared.catch_up()
    with _guard:
        silent = _silent.get((asked.host, asked.port), {})
        answers_nothing = len(silent) >= DIFFERENT
        if answers_nothing and time.monotonic() - max(silent.values()) < AGAIN_S:
            raise UnhealthyBefore(
                f"{component} was not healthy before: {len(silent)} different questions at"
                f" {asked.host}:{asked.port} got no answer, and none has got one since",
                component,
            )
        hung = {each.operation for each in _hung if (each.host, each.port) == (asked.host, asked.port)}
        known = bool(silent) or asked.operation in hung or len(hung) >= SEVERAL
    return min(limit_s, max(limit_s * SHARE, LEAST_S)) if known else limit_s


def is_silent(url: str) -> bool:
    """Whether something hung at a URL's address, and nothing was answered there since."""
    shared.catch_up()
    with _guard:
        return address(url) in _silent


def ended(asked: Asked | None, error: ErrorClass | None) -> None:
    """How a question that is recorded ended: answered, whatever the answer was (None), or with an error."""
    if asked is None:
        return
    if error is None:
        known = asked in _hung or (asked.host, asked.port) in _silent
    else:
        known = error in _HUNG and own_faults.since_last_s() > AFTER_OURS_S
    if known:
        at = time.monotonic()
        _take(asked.host, asked.port, asked.operation, error is not None, at)
        shared.tell(_TOPIC, asked.host, asked.port, asked.operation, error is not None, at)


def _take(host: str, port: int | None, operation: str, hung: bool, at: float) -> None:
    asked = Asked(host, port, operation)
    with _guard:
        if hung:
            _hung.add(asked)
            _silent.setdefault((host, port), {})[operation] = at
        else:
            _hung.discard(asked)
            _silent.pop((host, port), None)


_TOPIC = "hanging"
shared.taken_by(_TOPIC, _take)


def begin_with(known: Iterable[Asked]) -> None:
    """What earlier phases of the run have seen to hang."""
    with _guard:
        _hung.clear()
        _silent.clear()
        _hung.update(known)


def seen_in(observations: Iterable[Observation]) -> frozenset[Asked]:
    """What hung in these, the oldest first, and was not answered later."""
    found: set[Asked] = set()
    for each in observations:
        asked = Asked(each.host, each.port, each.operation)
        if each.ok or each.status is not None:
            found.discard(asked)
        elif each.error_class in _HUNG and each.asker == "validation" and not each.faults_on:
            found.add(asked)
    return frozenset(found)
