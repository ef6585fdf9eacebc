"""How far what was seen goes with a cause: its time, its share, and the witnesses against it.

A good answer of the same place, asked by the same, in the same time, with no fault of ours on, is a
witness. A cause that always holds bears none; one that holds for a share p of what is asked has the
likelihood (1 - p)^n for n of them; one that came and went speaks of its own time only."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from math import log
from statistics import mode

from hokusai_validation.diagnosis.evidence import Evidence
from hokusai_validation.report import Duty

# Consequences last a little: a breaker waits, a pool reconnects.
AFTER = timedelta(seconds=60)
BEFORE = timedelta(seconds=2)


@dataclass(frozen=True)
class Timing:
    """When a cause holds. `began`: its first sign, where something good was seen before; `ended`: the
    first good answer after its last sign. `against`: what speaks against its holding always."""

    duty: Duty
    rate: float = 1.0
    began: datetime | None = None
    ended: datetime | None = None
    against: tuple[Evidence, ...] = ()

    def holds(self, one: Evidence, *, consequence: bool) -> bool:
        """Whether a piece of evidence lies in its time."""
        after = AFTER if consequence else timedelta()
        if self.began is not None and one.last < self.began - BEFORE:
            return False
        return self.ended is None or one.first <= self.ended + after


def timing(signs: Sequence[Evidence], witnesses: Sequence[Evidence]) -> Timing:
    """What the signs of a cause and the good answers at its place make of its time."""
    first, last = min(each.first for each in signs), max(each.last for each in signs)
    during = [each for each in witnesses if first < each.first and each.last < last]
    before = [each for each in witnesses if each.last <= first]
    after = [each for each in witnesses if each.first >= last]
    if during:
        bad = sum(each.count for each in signs)
        good = sum(each.count for each in during)
        return Timing(Duty.SHARE, rate=bad / (bad + good), against=tuple(during))
    began = first if before else None
    if after:
        return Timing(Duty.ONCE, began=began or first, ended=min(each.first for each in after))
    return Timing(Duty.ALWAYS, began=began)


def log_likelihood(found: Timing) -> float:
    """Of the witnesses, given the cause: 0 where nothing speaks against it."""
    if found.duty is not Duty.SHARE:
        return 0.0
    return sum(each.count for each in found.against) * log(max(1e-9, 1 - min(found.rate, 0.999)))


IDLE_S = 0.4  # without a question before it, a connection counts as idle
FIRST = 3  # questions after a pause: each may be put to another kept connection
LEAST_AFTER_PAUSES = 3  # failures, and
LEAST_PAUSES = 2
LEAST_QUICK = 8  # good answers without a pause before them
TIMES = 5.0  # as often as without a pause


def closed_while_idle(signs: Sequence[Evidence], witnesses: Sequence[Evidence]) -> bool:
    """Whether what fails is what comes first after a pause: the server closed the connection meanwhile. Of all
    together, or of what one attempt at a test asked: what others asked beside it keeps connections in use."""
    failed = set(signs)
    by_attempt: dict[tuple[str, int], list[Evidence]] = {}
    for each in (*signs, *witnesses):
        by_attempt.setdefault((each.row.test, each.row.attempt), []).append(each)
    return any(_after_pauses(asked, failed) for asked in ([*signs, *witnesses], *by_attempt.values()))


def _after_pauses(asked: Sequence[Evidence], failed: Set[Evidence]) -> bool:
    last: datetime | None = None
    position = pauses = 0
    failed_after: set[int] = set()  # which pauses
    counts = {(bad, early): 0 for bad in (True, False) for early in (True, False)}
    for each in sorted(asked, key=lambda each: (each.first, each.key)):
        if last is not None and (each.first - last).total_seconds() >= IDLE_S:
            position, pauses = 0, pauses + 1
        last = max(last, each.last) if last is not None else each.last
        early = max(0, min(each.count, FIRST - position))
        counts[each in failed, True] += early
        # Alike ones are told as one, and there may have been pauses between them.
        if (each.last - each.first).total_seconds() < IDLE_S * each.count:
            counts[each in failed, False] += each.count - early
        position += each.count
        if early and each in failed:
            failed_after.add(pauses)
    if counts[True, True] < LEAST_AFTER_PAUSES or counts[False, False] < LEAST_QUICK:
        return False
    after = counts[True, True] / (counts[True, True] + counts[False, True])
    quick = counts[True, False] / (counts[True, False] + counts[False, False])
    return len(failed_after) >= LEAST_PAUSES and after >= TIMES * quick


LEAST_IN_TURN = 6  # failures of one sequence
IN_TURN = 0.9  # of their distances are the same


def in_turn(signs: Sequence[Evidence], witnesses: Sequence[Evidence], *, least_span_s: float = 0.0) -> bool:
    """Whether every n-th of one question, asked by one test again and again, fails, for so long at least: a
    balancer gives them to its instances in turn, and one of those is to blame. By chance distances differ."""
    failed = set(signs)
    sequences: dict[tuple[str, int, str], list[Evidence]] = {}
    for each in (*signs, *witnesses):
        # What a part said of its own question, good or bad, is of one kind.
        operation = "" if each.reported else each.operation
        sequences.setdefault((each.row.test, each.row.attempt, operation), []).append(each)
    return any(_evenly(asked, failed, least_span_s) for asked in sequences.values())


def _evenly(asked: Sequence[Evidence], failed: Set[Evidence], least_span_s: float) -> bool:
    ordered = sorted(asked, key=lambda each: (each.first, each.key))
    upto = accumulate(each.count for each in ordered)  # good ones side by side are one
    bad = [number for number, each in zip(upto, ordered, strict=True) if each in failed]
    if len(bad) < LEAST_IN_TURN:
        return False
    times = [each.first for each in ordered if each in failed]
    if (times[-1] - times[0]).total_seconds() < least_span_s:
        return False
    distances = [later - earlier for earlier, later in pairwise(bad)]
    usual = mode(distances)
    return usual > 1 and distances.count(usual) >= IN_TURN * len(distances)
