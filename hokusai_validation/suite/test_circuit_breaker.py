"""U1–U23: the circuit breaker that the target names, and the one at work in an API instance."""

import functools
from collections.abc import Callable, Iterator

import pytest
import time_machine

from hokusai_validation.errors import NotJudged
from hokusai_validation.facts import FactKind
from hokusai_validation.probes import breaker_machine
from hokusai_validation.probes.breaker_bench import (
    ATTEMPTS,
    MARGIN_S,
    THRESHOLD,
    TIMEOUT_S,
    VARIABLES,
    ZERO,
    Bench,
    Clock,
    SharedBreaker,
    breaker_of,
    construction_error,
    holds_parameters,
    is_number,
    waits,
)
from hokusai_validation.probes.breaker_machine import Counterexample
from hokusai_validation.probes.breaker_probe import EPOCH_S, BreakerProbe
from hokusai_validation.probes.breaker_source import BreakerSource, imported
from hokusai_validation.probes.contract.check import expect, has_status
from hokusai_validation.probes.states import Scene, retry_after_s
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.runner.timelimit import not_counted
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

OPEN_CALLS = 10


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock that stands still unless it is moved."""
    with time_machine.travel(EPOCH_S, tick=False) as traveller:
        yield Clock(traveller)


@pytest.fixture(scope="module")
def source(target: Target) -> Iterator[BreakerSource]:
    """The breaker's class and the shared one's module."""
    assert target.breaker is not None
    with pytest.MonkeyPatch.context() as patch:
        for variable in VARIABLES:
            patch.delenv(variable, raising=False)
        with imported(target.breaker) as found:
            yield found


@pytest.fixture(scope="module")
def search(source: BreakerSource) -> Callable[[], Counterexample | None]:
    """What random sequences find, looked for once and only when a test asks."""
    with not_counted():
        breaker_machine.get_ready()
    return functools.cache(lambda: breaker_machine.counterexample(source.breaker_class))


@pytest.fixture
def bench(source: BreakerSource, evidence: Evidence, search: Callable[[], Counterexample | None]) -> Bench:
    """Breakers of the class under test."""
    return Bench(source, evidence, search)


class TestMLflowCircuitBreaker:
    """U1–U18: one breaker, its time moved."""

    def test_initial_state(self, bench: Bench, clock: Clock) -> None:
        breaker = bench.new()
        breaker.shows("a new breaker", state="CLOSED", **ZERO, last_failure_time=None)
        breaker.holds(breaker.admits(), "A new breaker refuses calls.")
        breaker.shows("after the first question", state="CLOSED", **ZERO)
        bench.search("U1")

    def test_basic_failure_tracking(self, bench: Bench, clock: Clock) -> None:
        breaker = bench.new()
        for count in range(1, THRESHOLD):
            now = clock.forward(1.0)
            breaker.success()
            breaker.failure(1)
            breaker.shows(
                f"after failure {count}, each with a success before it",
                state="CLOSED",
                failure_count=1,
                consecutive_successes=0,
                last_failure_time=now,
            )
        breaker.failure()
        breaker.shows("after one more failure", state="CLOSED", failure_count=2)
        breaker.holds(breaker.admits(), "Below the threshold, calls are refused.")
        bench.search("U2")

    def test_success_in_closed_state(self, bench: Bench, clock: Clock) -> None:
        breaker = bench.new()
        breaker.failure(2)
        for count, left in enumerate((1, 0, 0), start=1):
            now = clock.forward(1.0)
            breaker.success()
            breaker.shows(
                f"after success {count}",
                state="CLOSED",
                failure_count=left,
                consecutive_successes=count,
                last_success_time=now,
            )
        bench.search("U3")

    def test_state_transition_closed_to_open(self, bench: Bench, clock: Clock) -> None:
        for threshold in (1, 2, 5):
            breaker = bench.new(failure_threshold=threshold)
            for count in range(1, threshold + 1):
                breaker.shows(f"threshold {threshold}, before failure {count}", state="CLOSED")
                breaker.holds(breaker.admits(), f"Calls are refused before failure {count}.")
                breaker.failure()
            breaker.shows(f"at threshold {threshold}", state="OPEN", failure_count=threshold)
            breaker.holds(not breaker.admits(), "OPEN, and a call is admitted.")
        bench.search("U4")

    def test_state_transition_open_to_half_open(self, bench: Bench, clock: Clock) -> None:
        breaker = bench.opened()
        clock.forward(TIMEOUT_S - MARGIN_S)
        breaker.holds(not breaker.admits(), "A call is admitted before the recovery time-out.")
        breaker.shows("before the recovery time-out", state="OPEN", recovery_attempts=0)
        breaker.failure()  # while OPEN: the wait begins again
        clock.forward(TIMEOUT_S - MARGIN_S)
        breaker.success()
        breaker.shows("after a success reported while OPEN", state="OPEN", consecutive_successes=1)
        breaker.holds(not breaker.admits(), "A failure while OPEN did not prolong the wait.")
        breaker.shows("while the prolonged wait lasts", state="OPEN", recovery_attempts=0)
        clock.forward(2 * MARGIN_S)
        breaker.holds(breaker.admits(), "The wait is over, and the call is refused.")
        breaker.shows("right after the wait", state="HALF_OPEN", recovery_attempts=1, consecutive_successes=0)
        bench.search("U5")

    def test_half_open_success_recovery(self, bench: Bench, clock: Clock) -> None:
        breaker = bench.half_open(clock)
        breaker.success()
        breaker.shows("after the first success", state="HALF_OPEN", consecutive_successes=1)
        breaker.holds(breaker.admits(), "HALF_OPEN, and the next call is refused.")
        breaker.success()
        breaker.shows("after the second success", state="CLOSED", failure_count=0, recovery_attempts=0)
        breaker.holds(breaker.admits(), "CLOSED again, and calls are refused.")
        bench.search("U6")

    def test_half_open_failure_back_to_open(self, bench: Bench, clock: Clock) -> None:
        for successes in (0, 1):
            breaker = bench.half_open(clock)
            breaker.success(successes)
            breaker.failure()
            breaker.shows(
                f"a failure in HALF_OPEN after {successes} successes",
                state="OPEN",
                consecutive_successes=0,
                recovery_attempts=1,
                last_failure_time=clock.now,
            )
            breaker.holds(not breaker.admits(), "OPEN again, and a call is admitted at once.")
        bench.search("U7")

    def test_max_recovery_attempts(self, bench: Bench, clock: Clock) -> None:
        breaker = bench.opened()
        for attempt in range(1, ATTEMPTS + 1):
            clock.forward(TIMEOUT_S + MARGIN_S)
            breaker.holds(breaker.admits(), f"Attempt {attempt} is refused after the recovery time-out.")
            breaker.failure()
            breaker.shows(f"after failed attempt {attempt}", state="OPEN", recovery_attempts=attempt)
        clock.forward(TIMEOUT_S + MARGIN_S)
        breaker.holds(
            not breaker.admits(),
            f"After {ATTEMPTS} failed attempts, all that are allowed, the recovery time-out alone still"
            " suffices.",
        )
        breaker.shows("after the recovery time-out", state="OPEN", recovery_attempts=ATTEMPTS)
        bench.search("U8")

    def test_exponential_backoff_after_max_attempts(self, bench: Bench, clock: Clock) -> None:
        breaker = bench.half_open(clock, max_recovery_attempts=1)
        breaker.failure()
        for factor in (2, 4, 8):
            clock.forward(factor * TIMEOUT_S - MARGIN_S)
            breaker.holds(not breaker.admits(), f"A call is admitted before {factor}× the time-out.")
            clock.forward(2 * MARGIN_S)
            breaker.holds(breaker.admits(), f"A call is refused after {factor}× the time-out.")
            if factor < 8:
                breaker.failure()
        breaker.success(2)
        breaker.shows("after two successes", state="CLOSED", failure_count=0, recovery_attempts=0)
        breaker.failure(THRESHOLD)
        clock.forward(TIMEOUT_S + MARGIN_S)
        breaker.holds(breaker.admits(), "After a recovery, the wait is still the extended one.")
        bench.search("U9")

    def test_force_reset(self, bench: Bench, clock: Clock) -> None:
        for state, breaker in (("OPEN", bench.opened()), ("HALF_OPEN", bench.half_open(clock))):
            breaker.shows("before the reset", state=state)
            breaker.success()
            breaker.reset()
            breaker.shows(f"reset from {state}", state="CLOSED", **ZERO, last_failure_time=None)
            breaker.holds(breaker.admits(), f"Reset from {state}, and calls are refused.")
        bench.search("U10")

    def test_status_reporting(self, bench: Bench, clock: Clock) -> None:
        breaker = bench.new()
        parameters = {"failure_threshold": THRESHOLD, "recovery_timeout": TIMEOUT_S}
        breaker.says(
            "new", state="CLOSED", **ZERO, **parameters, last_failure_time=None, last_success_time=None
        )
        breaker.success()
        succeeded = clock.now
        failed = clock.forward(1.0)
        breaker.failure(THRESHOLD)
        clock.forward(TIMEOUT_S + MARGIN_S)
        breaker.admits()
        breaker.says(
            "HALF_OPEN",
            state="HALF_OPEN",
            failure_count=THRESHOLD,
            consecutive_successes=0,
            recovery_attempts=1,
            last_failure_time=failed,
            last_success_time=succeeded,
            time_since_last_failure=TIMEOUT_S + MARGIN_S,
            **parameters,
        )
        succeeded = clock.forward(1.0)
        breaker.success()
        breaker.says("after a success", consecutive_successes=1, last_success_time=succeeded)

    def test_status_in_open_state(self, bench: Bench, clock: Clock) -> None:
        breaker = bench.opened(max_recovery_attempts=1)
        for wait_s in (TIMEOUT_S, 2 * TIMEOUT_S, 4 * TIMEOUT_S):
            waits(breaker, wait_s, wait_s)
            clock.forward(wait_s / 2)
            waits(breaker, wait_s, wait_s / 2)
            clock.forward(wait_s / 2 + MARGIN_S)
            breaker.holds(breaker.admits(), f"A call is refused after the wait of {wait_s:g} s.")
            breaker.failure()

    def test_time_calculations(self, bench: Bench, clock: Clock) -> None:
        breaker = bench.opened()
        for elapsed in (0.0, 7.5, 21.0):
            clock.forward(elapsed - (clock.now - EPOCH_S))
            breaker.says(
                f"{elapsed:g} s after the failure",
                time_since_last_failure=elapsed,
                time_until_retry=TIMEOUT_S - elapsed,
            )
        clock.forward(TIMEOUT_S)
        breaker.says("after the wait", time_until_retry=0)
        clock.forward(-3600.0)
        breaker.says("with the clock set back", time_since_last_failure=0)
        left = breaker.status()["time_until_retry"]
        breaker.holds(
            is_number(left) and 0 <= left <= TIMEOUT_S,
            f"With the clock set back, time_until_retry is {left!r}, not within 0–{TIMEOUT_S:g} s.",
        )

    def test_consecutive_success_reset_on_failure(self, bench: Bench, clock: Clock) -> None:
        closed = bench.new()
        closed.success(3)
        closed.shows("after three successes", consecutive_successes=3)
        half_open = bench.half_open(clock)
        half_open.success()
        opened = bench.opened()
        opened.success()
        opened.shows("after a success while OPEN", consecutive_successes=1)
        for state, breaker in (("CLOSED", closed), ("HALF_OPEN", half_open), ("OPEN", opened)):
            breaker.shows("before the failure", state=state)
            breaker.failure()
            breaker.shows(f"after a failure in {state}", consecutive_successes=0)
        bench.search("U14")

    def test_gradual_failure_count_reduction(self, bench: Bench, clock: Clock) -> None:
        breaker = bench.new(failure_threshold=6)
        breaker.failure(5)
        for left in (4, 3, 2, 1, 0, 0):
            breaker.success()
            breaker.shows("after a success", state="CLOSED", failure_count=left)
        breaker.failure(6)
        breaker.shows("after as many failures as the threshold", state="OPEN")
        bench.search("U15")

    def test_configurable_parameters(
        self, bench: Bench, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for variable in VARIABLES:
            monkeypatch.setenv(variable, "7")
        breaker = bench.new(failure_threshold=2, recovery_timeout=5.0, max_recovery_attempts=1)
        breaker.says("with explicit values", failure_threshold=2, recovery_timeout=5)
        breaker.failure()
        breaker.shows("after one failure of two", state="CLOSED")
        breaker.failure()
        breaker.shows("after two failures of two", state="OPEN")
        clock.forward(5.0 + MARGIN_S)
        breaker.holds(breaker.admits(), "The explicit time-out of 5 s is over, and the call is refused.")
        breaker.failure()
        clock.forward(5.0 + MARGIN_S)
        breaker.holds(not breaker.admits(), "The explicit 1 recovery attempt is not honoured.")

    def test_edge_case_zero_threshold(
        self, bench: Bench, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_CB_FAILURE_THRESHOLD", "4")
        breaker = bench.new(failure_threshold=0)
        breaker.shows("threshold 0, before any failure", state="CLOSED")
        breaker.holds(breaker.admits(), "Threshold 0, and calls are refused before any failure.")
        breaker.failure()
        breaker.shows("threshold 0, after the first failure", state="OPEN", failure_count=1)
        breaker.says("threshold 0", failure_threshold=0)

    def test_edge_case_zero_timeout(
        self, bench: Bench, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_CB_RECOVERY_TIMEOUT", "90")
        breaker = bench.opened(recovery_timeout=0.0, max_recovery_attempts=1)
        for attempt in (1, 2, 3):
            breaker.holds(breaker.admits(), f"Time-out 0, and retry {attempt} is refused.")
            breaker.shows(f"time-out 0, retry {attempt}", state="HALF_OPEN", recovery_attempts=attempt)
            breaker.failure()
        breaker.says("time-out 0", recovery_timeout=0, time_until_retry=0)


class TestGlobalCircuitBreaker:
    """U19–U21: the shared breaker, and where defaults come from. Each on a fresh import."""

    def test_get_circuit_breaker_status(self, bench: Bench, target: Target, clock: Clock) -> None:
        with imported(breaker_of(target)) as source:
            shared = SharedBreaker(source, bench.evidence)
            before = shared.status()["failure_count"]
            shared.fail(2)
            shared.says("after two failures of the shared breaker", failure_count=before + 2)
            shared.says("asked again", failure_count=before + 2, last_failure_time=clock.now)

    def test_reset_circuit_breaker(self, bench: Bench, target: Target, clock: Clock) -> None:
        with imported(breaker_of(target)) as source:
            shared = SharedBreaker(source, bench.evidence)
            shared.status()
            shared.fail(max(1, int(shared.status()["failure_threshold"])))
            shared.says("after as many failures as the threshold", state="OPEN")
            shared.reset()
            shared.says("after reset_circuit_breaker()", state="CLOSED", **ZERO, last_failure_time=None)

    def test_environment_configuration(
        self, bench: Bench, target: Target, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        holds_parameters(bench, breaker_of(target), clock, "by default", 5, 60.0, 5)
        for variable, text in zip(VARIABLES, ("2", "4.5", "1"), strict=True):
            monkeypatch.setenv(variable, text)
        holds_parameters(bench, breaker_of(target), clock, "with MLFLOW_CB_* set", 2, 4.5, 1)
        for variable in VARIABLES:
            with monkeypatch.context() as patch:
                patch.setenv(variable, "many")
                message = construction_error(breaker_of(target))
                BreakerProbe(None, bench.evidence).holds(
                    variable in message,
                    f"{variable} is 'many', which is no number, and"
                    + (f" the error does not name it: {message}" if message else " nothing is said."),
                )


class TestCircuitBreakerIntegration:
    """U22, U23: the breaker at work between an API instance and a real MLflow."""

    def test_circuit_breaker_with_mlflow_operations(
        self, scene: Scene, target: Target, evidence: Evidence
    ) -> None:
        threshold = max(1, target.gateway.breaker_failure_threshold)
        with scene.cut(Role.TRACKING_SERVER, counted=True):
            scene.close_breaker()
            before = scene.connections(Role.TRACKING_SERVER)
            for count in range(1, threshold + 1):
                answer = scene.proxied()
                evidence.answer(f"call {count}", answer)
                expect(
                    answer.status in (502, 504),
                    f"MLflow is cut off, and call {count} through {scene.name} was answered"
                    f" {answer.status}, expected 502.",
                    evidence,
                    FactKind.BREAKER_CONTRACT if answer.status == 503 else FactKind.PROXY_ERROR,
                    via=scene.name,
                )
            reached = scene.connections(Role.TRACKING_SERVER) - before
            if reached < threshold:
                raise NotJudged(
                    f"{threshold} calls through {scene.name} failed, but the link to MLflow counted"
                    f" {reached} connections: it is not the link that the instance uses."
                )
            before = scene.connections(Role.TRACKING_SERVER)
            for _ in range(OPEN_CALLS):
                answer = scene.proxied()
                expect(
                    answer.status == 503,
                    f"After {threshold} failed calls a call was answered {answer.status}, expected 503:"
                    " the breaker is not OPEN.",
                    evidence,
                    FactKind.BREAKER_CONTRACT,
                    via=scene.name,
                )
                retry_after_s(answer, evidence, via=scene.name)
            reached = scene.connections(Role.TRACKING_SERVER) - before
            evidence.record("connections while OPEN", reached)
            expect(
                reached == 0,
                f"While OPEN, {reached} connections reached MLflow's link in {OPEN_CALLS} calls.",
                evidence,
                FactKind.BREAKER_LETS_CALLS_THROUGH,
                via=scene.name,
            )

    def test_circuit_breaker_recovery(self, scene: Scene, evidence: Evidence) -> None:
        with scene.cut(Role.TRACKING_SERVER):
            scene.open_breaker()
        scene.half_open_breaker()
        scene.expect_breaker("HALF_OPEN", "after the wait and one good call")
        second = scene.proxied()
        has_status(second, 200, evidence, via=scene.name)
        scene.expect_breaker("CLOSED", "after two good calls")
        has_status(scene.proxied(), 200, evidence, via=scene.name)
