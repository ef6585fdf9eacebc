"""One experiment: steady state, injection, proof, watching, undoing, recovery.

    with Experiment("MLflow is gone", …) as experiment:   # raises NoSteadyState, nothing injected
        with experiment.inject(Kill("mlflow")):            # on and proven
            …                                              # what must hold meanwhile
        experiment.recovers("healthy", lambda: …)          # timed from the undo

A probe runs throughout; the experiment ends at once, its faults taken off, when fewer probes are
served than the target permits.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

from hokusai_validation.chaos.faults.base import Fault
from hokusai_validation.chaos.injection import Event, Injection, Injector
from hokusai_validation.chaos.journal import JournalKeeper
from hokusai_validation.chaos.probe import (
    PROMPT_S,
    Floor,
    Probe,
    Route,
    Shot,
    availability,
    percentile_ms,
    silence,
)
from hokusai_validation.chaos.watch import Watch
from hokusai_validation.chaos.watchdog import Watchdog
from hokusai_validation.errors import ExpectationUnmet, FaultOrphaned, NoSteadyState, NotJudged, RequestFailed
from hokusai_validation.facts import FactKind
from hokusai_validation.journal import KEY, SteadyState
from hokusai_validation.store.locks import ExperimentLock, TargetLock
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

STEADY_WITHIN_S = 15.0
STEADY_SHOTS = 5
POLL_S = 0.05
LOCK_WAIT_S = 5.0


class Evidence(Protocol):
    """Where a test puts what it saw (the suite's fixture `evidence` is one)."""

    def record(self, name: str, value: object) -> None:
        """Something seen, as JSON."""

    def metric(self, name: str, number: float) -> None:
        """A plain number."""

    def fact(self, kind: FactKind, component: str, seen: str = "", via: str | None = None) -> None:
        """A fact for the diagnosis."""


class AvailabilityTooLow(ExpectationUnmet):
    """The experiment was ended at once: fewer probes were served than the target permits."""


class Experiment:
    """Used once, as a context manager. `watched` is the instance whose states are followed; routes
    beyond the first are probed without a key. Not for several threads."""

    def __init__(
        self,
        title: str,
        *,
        target: Target,
        injector: Injector,
        routes: Sequence[Route],
        watched: Route,
        evidence: Evidence,
        description: str = "",
        away: str = "",
        deviation: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`deviation` says how the target differs from its steady state, None when it does not. `away` (`MLflow
        was away`): `/live` of every instance must go on answering meanwhile, and that is judged."""
        self.target = target
        self.probe = Probe(
            routes, floor=Floor(target.permissions.min_availability), on_low=self._availability_low
        )
        self.watch = Watch(watched.client, target.gateway.health_timeout_s + 1)
        self.journal = JournalKeeper(title, description)
        self.rolled_back_at: float | None = None
        self.recovered_at: float | None = None
        self._faults_on_at: float | None = None
        self._injector = injector
        self._evidence = evidence
        self._deviation = deviation
        self._away = away
        self._injection: Injection | None = None
        self._low: float | None = None
        self._locks = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Raises NoSteadyState when the target is not in its steady state, TargetBusy when another run has it."""
        what = f"experiment: {self.journal.title}"
        self._locks.enter_context(TargetLock(self.target, what, wait_s=LOCK_WAIT_S))
        try:
            self._locks.enter_context(ExperimentLock(self.target, what, wait_s=LOCK_WAIT_S))
            # From here on: a breaker that was opened must not stay so when we are killed.
            self._locks.enter_context(Watchdog.of(self.target).watching())
            self._injector.observers.append(self._observe)
            try:
                self.probe.start()
                self.watch.start()
                self._await_steady_state()
            except BaseException as error:
                self._finish(error)
                raise
        except BaseException:
            self._locks.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises NotJudged when this machine was too busy to probe."""
        try:
            self._finish(error)
        finally:
            self._locks.close()
        if error is None and self.probe.too_late:
            raise NotJudged(
                "This machine was too busy to probe at a constant rate; nothing can be told of it."
            )

    @contextlib.contextmanager
    def inject(self, *faults: Fault) -> Iterator[Injection]:
        """These faults are on in the block, and proven before it begins.

        Raises what `Injector.fault` does, and AvailabilityTooLow when the experiment was ended."""
        trouble: Exception | None = None
        injection: Injection | None = None
        try:
            with self._injector.fault(*faults) as injection:
                self._injection = injection
                now = time.monotonic()
                self._faults_on_at = self._faults_on_at or now
                if self.probe.floor is not None:
                    self.probe.floor.since = now
                yield injection
        except (AssertionError, RequestFailed, NotJudged) as error:
            trouble = error
        finally:
            if self.probe.floor is not None:
                self.probe.floor.since = None
            self._injection = None
            self.rolled_back_at = time.monotonic()
        if injection is not None and injection.rolled_back_at is not None:
            self.rolled_back_at = injection.rolled_back_at
        self._judge(trouble)

    def recovers(
        self,
        what: str,
        holds: Callable[[], object],
        *,
        component: str = Role.API_GATEWAY,
        limit_s: float | None = None,
    ) -> float:
        """Wait until the target has recovered; the seconds since the undo.

        Raises ExpectationUnmet when it does not in time (the target's `limits.recovery_s`)."""
        rolled_back_at = self.rolled_back_at if self.rolled_back_at is not None else time.monotonic()
        limit = self.target.limits.recovery_s if limit_s is None else limit_s
        problem = ""
        while True:
            try:
                if holds():
                    break
            except (RequestFailed, AssertionError) as error:
                problem = f": {error}"
            if time.monotonic() - rolled_back_at > limit:
                seen = f"not {what} {limit:g} s after the fault was undone{problem}"
                self._evidence.fact(FactKind.NOT_RECOVERED, component, seen)
                raise ExpectationUnmet(f"{self.journal.title}: {seen}.")
            time.sleep(POLL_S)
        self.recovered_at = time.monotonic()
        self.watch.look()
        recovery_s = self.recovered_at - rolled_back_at
        self._evidence.metric("recovery_s", recovery_s)
        self.journal.steady_after = SteadyState(
            steady_state_met=True, what=what, recovery_s=round(recovery_s, 3)
        )
        return recovery_s

    def shots(self, route: str | None = None) -> list[Shot]:
        """The probes from the injection until the recovery, or until now; not those that may still
        be answered in time."""
        start = self._faults_on_at if self._faults_on_at is not None else self.journal.started
        end = self.recovered_at if self.recovered_at is not None else time.monotonic()
        judged = time.monotonic() - self.probe.deadline_s
        due = self.probe.between(route or self.probe.routes[0].name, start, end)
        return [shot for shot in due if shot.ended or shot.due_at < judged]

    def availability(self) -> float:
        """Of the target's users, from the injection until the recovery; 0 where none was due."""
        return availability(self.shots()) or 0.0

    def _await_steady_state(self) -> None:
        deadline = time.monotonic() + STEADY_WITHIN_S
        route = self.probe.routes[0].name
        while True:
            problem = self._steady_problem(route)
            if problem is None:
                self.journal.steady_before = SteadyState(steady_state_met=True)
                return
            if time.monotonic() > deadline:
                self.journal.steady_before = SteadyState(steady_state_met=False, seen=problem)
                raise NoSteadyState(problem)
            time.sleep(POLL_S)

    def _steady_problem(self, route: str) -> str | None:
        try:
            problem = self._deviation()
        except (RequestFailed, AssertionError) as error:
            problem = str(error)
        if problem is not None:
            return problem
        last = [shot for shot in tuple(self.probe.shots) if shot.route == route and shot.ended][
            -STEADY_SHOTS:
        ]
        if len(last) < STEADY_SHOTS:
            return f"{len(last)} probes were answered by {route}"
        bad = next((shot for shot in last if not shot.good), None)
        return None if bad is None else f"a probe by {route} failed: {_problem(bad)}"

    def _observe(self, event: Event) -> None:
        self.journal.events.append(event)

    def _availability_low(self, share: float) -> None:
        """Called by the probe's thread: take the faults off at once."""
        self._low = share
        injection = self._injection
        if injection is not None:
            with contextlib.suppress(FaultOrphaned):  # told when the block ends
                injection.undo()

    def _judge(self, trouble: Exception | None) -> None:
        """What the probes say comes before what the test saw: it tells why."""
        told = [*self._low_told(), *self.blocked()]
        if told:
            self.journal.deviated = True
            error = AvailabilityTooLow if self._low is not None else ExpectationUnmet
            seen = "" if trouble is None else f" Seen besides: {trouble}"
            raise error(f"{self.journal.title}: {' '.join(told)}{seen}") from trouble
        if trouble is not None:
            raise trouble

    def _low_told(self) -> list[str]:
        if self._low is None:
            return []
        self.journal.status = "aborted"
        limit = self.target.permissions.min_availability
        seen = f"availability {self._low:.0%} while the fault was on, the target permits {limit:.0%}"
        self._evidence.fact(FactKind.AVAILABILITY, Role.API_GATEWAY, seen)
        problems = [_problem(shot) for shot in self.shots() if shot.ended and not shot.good]
        most = max(set(problems), key=problems.count, default="")
        why = f" ({problems.count(most)} of {len(self.shots())} probes: {most})" if problems else ""
        return [f"ended at once, {seen}{why}."]

    def blocked(self) -> list[str]:
        """A sentence, and a fact, for each instance whose `/live` stopped answering since the
        injection, where that is judged."""
        if not self._away:
            return []
        told = []
        own = [route for route in self.probe.routes if not route.authenticated] or list(self.probe.routes)
        for route in own:
            found = silence(self.shots(route.name))
            if found.blocked:
                told.append(
                    f"/live of {route.name} stopped answering while {self._away}: {found.unanswered} of"
                    f" {found.due} probes had no answer within {PROMPT_S * 1000:.0f} ms, the longest for"
                    f" {found.longest_s:.1f} s."
                )
                self._evidence.fact(FactKind.EVENT_LOOP_BLOCKED, Role.API_GATEWAY, told[-1], route.name)
        return told

    def _finish(self, error: BaseException | None) -> None:
        self.watch.stop()
        self.probe.stop()
        if self._observe in self._injector.observers:
            self._injector.observers.remove(self._observe)
        if error is not None and self.journal.status == "completed":
            interrupted = not isinstance(error, Exception)
            self.journal.status = "interrupted" if interrupted else "failed"
            self.journal.deviated = isinstance(error, AssertionError)
        self._evidence.record(KEY, self.journal.finished(self.probe.shots, self.watch.changes))
        self._evidence.record("health states", self.watch.sequence)
        self._evidence.record("breaker states", self.watch.breaker_sequence)
        if self._faults_on_at is None:
            return
        share = availability(self.shots())
        if share is not None:
            self._evidence.metric("availability", share)
        whole = availability([s for s in self.probe.shots if s.route == self.probe.routes[0].name])
        if whole is not None:
            self._evidence.metric("availability_throughout", whole)
        for route in self.probe.routes:
            times = [shot.live_ms for shot in self.shots(route.name) if shot.live_ms is not None]
            slowest = percentile_ms(times, 0.99)
            if slowest is not None:
                self._evidence.metric(f"live_p99_ms_{route.name}", slowest)


def _problem(shot: Shot) -> str:
    return shot.live_problem or shot.key_problem or "not answered in time"
