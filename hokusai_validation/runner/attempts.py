"""Which failures get a second attempt: those that can have been of the moment, after all other tests, and
only until one of their kind has failed twice. What is certain is not asked again."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hokusai_validation.catalogue import Entry
from hokusai_validation.facts import FactKind
from hokusai_validation.observation import ErrorClass, Outcome
from hokusai_validation.result import Category, Result, Status

if TYPE_CHECKING:  # the code location reads rows by this, and never imports pytest
    import pytest

# A second attempt would say little of a load or a fault, and doubles what is done to the target.
NOT_REPEATED = (Category.LOAD, Category.CHAOS)
# Between the two attempts at a test, at least.
PAUSE_S = 2.0

# Errors that a restart, a full queue or a busy moment gives as well.
TRANSIENT = frozenset(
    {
        ErrorClass.REFUSED,
        ErrorClass.RESET,
        ErrorClass.CLOSED_EARLY,
        ErrorClass.NAME_SERVER_FAILED,
        ErrorClass.RATE_LIMITED,
        ErrorClass.CONNECTIONS_EXHAUSTED,
        ErrorClass.STARTING,
        ErrorClass.SHUTTING_DOWN,
        ErrorClass.DEADLOCK,
        ErrorClass.SERIALIZATION,
        ErrorClass.SERVER_ERROR,
        ErrorClass.BAD_GATEWAY,
        ErrorClass.UNAVAILABLE,
        ErrorClass.SLOW,
        ErrorClass.STATE,
    }
)
# The same of what a test concluded: a state or a time, not a value or a form.
TRANSIENT_FACTS = frozenset(
    {
        FactKind.REFUSED,
        FactKind.CONNECT_TIMED_OUT,
        FactKind.READ_TIMED_OUT,
        FactKind.RESET,
        FactKind.POOL_EXHAUSTED,
        FactKind.SERVICE_UNHEALTHY,
        FactKind.TARGET_UNHEALTHY,
        FactKind.UNEXPECTED_STATUS,
        FactKind.EVENT_LOOP_BLOCKED,
        FactKind.HEALTH_ANSWER_WRONG,
        FactKind.BREAKER_STUCK_OPEN,
        FactKind.BREAKER_CONTRACT,
        FactKind.BREAKER_LETS_CALLS_THROUGH,
        FactKind.PROXY_ERROR,
        FactKind.NOT_RECOVERED,
        FactKind.AVAILABILITY,
        FactKind.SLOW,
    }
)

# Where nobody takes a connection, whatever else was met there comes of it.
NO_CONNECTION = frozenset(
    {
        ErrorClass.REFUSED.value,
        ErrorClass.CONNECT_TIMEOUT.value,
        FactKind.REFUSED.value,
        FactKind.CONNECT_TIMED_OUT.value,
    }
)

Pair = tuple[str, str]  # an error class, or the kind of a fact, and where it was met
Kind = frozenset[Pair]


def kind_of(row: Result) -> Kind | None:
    """What a failed row's failure is like: the facts that it concluded, else the error classes that it met (it
    may have met others that it did not mind). None where it is certain, and another attempt would only say it again."""
    met = {
        (each.error_class.value, each.subject or each.dialled)
        for each in row.observations
        if not each.ok
        and not each.faults_on
        and each.error_class is not None
        and (each.outcome is Outcome.TIMEOUT or each.error_class in TRANSIENT)
    }
    concluded = {(fact.kind.value, fact.component) for fact in row.facts if fact.kind in TRANSIENT_FACTS}
    if met or concluded:
        return frozenset(concluded or met)
    return None if row.facts else frozenset({("unexplained", row.test)})


def standing_in(rows: Iterable[Result]) -> frozenset[Pair]:
    """What failed again at a second attempt in these, in their order, at a place that nothing good came of
    since."""
    found: set[Pair] = set()
    for row in rows:
        well = {each.subject or each.dialled for each in row.observations if each.ok and not each.faults_on}
        found = {(what, where) for what, where in found if where not in well}
        if row.attempt > 1 and row.status is Status.FAILED:
            found |= kind_of(row) or frozenset()
    return frozenset(found)


@dataclass(frozen=True)
class Deferred:
    """A test whose first attempt failed, and how; `kind` is None for one that was skipped for what failed."""

    item: "pytest.Item"
    entry: Entry
    reports: "tuple[pytest.TestReport, ...]"
    kind: Kind | None
    ended_at: float = field(default_factory=time.monotonic)


@dataclass
class SecondAttempts:
    """Of one suite process; what earlier phases saw to stand is given to it."""

    waiting: list[Deferred] = field(default_factory=list)
    standing: set[Pair] = field(default_factory=set)
    _passing: set[Pair] = field(default_factory=set)
    _recovered: bool = False

    def defer(
        self,
        item: "pytest.Item",
        entry: Entry,
        reports: "list[pytest.TestReport]",
        row: Result,
        *,
        for_earlier: bool,
        stalled: bool = False,
    ) -> bool:
        """Whether a first attempt is to be followed by another; it is kept until then. `for_earlier`: it
        was skipped, because an earlier step had failed. `stalled`: we stood still while it ran."""
        if row.attempt > 1 or entry.category in NOT_REPEATED:
            return False
        if stalled:
            kind: Kind | None = frozenset({("stalled", row.test)})
        elif row.status is Status.FAILED:
            kind = kind_of(row)
            if kind is None:
                return False
        elif for_earlier and self.waiting:
            kind = None
        else:
            return False
        self.waiting.append(Deferred(item, entry, tuple(reports), kind))
        return True

    def take(self) -> list[Deferred]:
        """Out of those that wait, the next ones whose second attempt can be made at the same time: of a kind
        one, until it passed, and one that met a place where nobody takes connections before all others there.
        Behind them what waits for one that recovered. Empty where none of the rest can end otherwise."""
        taken: list[Deferred] = []
        asked: set[Pair] = set()
        closed = _closed(self.standing)
        kinds = [each.kind for each in self.waiting if each.kind is not None]
        in_doubt = _closed(pair for kind in kinds for pair in kind - self._passing)
        for each in sorted(self.waiting, key=lambda one: not _closed(one.kind or ())):
            if each.kind is None or not each.kind.isdisjoint(self.standing):
                continue
            places = {where for _, where in each.kind}
            if places & closed:
                continue
            keys = each.kind | {("", where) for where in places & in_doubt}
            if each.kind <= self._passing or keys.isdisjoint(asked):
                taken.append(each)
                asked |= keys
        if not taken and self._recovered:
            taken = [each for each in self.waiting if each.kind is None]
        self.waiting = [each for each in self.waiting if each not in taken]
        return taken

    def ended(self, deferred: Deferred, status: Status, kind: Kind | None) -> None:
        """Note how a second attempt went, and of which kind it was."""
        if status is Status.PASSED:
            self._recovered = True
            self._passing |= deferred.kind or frozenset()
        elif status is Status.FAILED and deferred.kind is not None:
            self.standing |= deferred.kind & (kind or frozenset())


def _closed(pairs: Iterable[Pair]) -> set[str]:
    """The places at which nobody took a connection."""
    return {where for what, where in pairs if what in NO_CONNECTION}


def pause(deferred: Deferred) -> None:
    """Wait until there is some time between the two attempts."""
    left_s = deferred.ended_at + PAUSE_S - time.monotonic()
    if left_s > 0:
        time.sleep(left_s)
