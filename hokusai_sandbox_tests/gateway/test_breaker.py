"""The circuit breaker against the contract's model, and every mutant against both."""

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from hokusai_sandbox import breaker
from hokusai_sandbox.breaker import MLflowCircuitBreaker
from hokusai_sandbox.gateway import breaker_mutants
from hokusai_sandbox.gateway.breaker_mutants import MUTANTS
from hokusai_sandbox.gateway.shared_mutants import reset_of_new, status_of_new
from hokusai_sandbox_tests.gateway.model_breaker import FIELDS, ModelBreaker

START = 1_000_000.0
VARIABLES = ("MLFLOW_CB_FAILURE_THRESHOLD", "MLFLOW_CB_RECOVERY_TIMEOUT", "MLFLOW_CB_MAX_RECOVERY_ATTEMPTS")


class Pair:
    """A breaker and its model, on the same clock."""

    def __init__(self, kind: type[MLflowCircuitBreaker], threshold: int, timeout: float, most: int) -> None:
        self.now = START
        self.model = ModelBreaker(threshold, timeout, most)
        with self._clock():
            self.breaker = kind(threshold, timeout, most)

    def _clock(self) -> AbstractContextManager[object]:
        return patch("time.time", lambda: self.now)

    def do(self, what: str, seconds: float = 0.0) -> None:
        """One step of both; raises AssertionError where they part."""
        with self._clock():
            if what == "advance":
                self.now += seconds
            elif what == "wait":
                self.now = (self.model.failed or self.now) + self.model.wait() * seconds
            elif what == "success":
                self.breaker.record_success()
                self.model.success(self.now)
            elif what == "failure":
                self.breaker.record_failure()
                self.model.failure(self.now)
            elif what == "reset":
                self.breaker.force_reset()
                self.model.reset()
            elif what == "ask":
                assert self.breaker.is_open() == self.model.is_open(self.now), "is_open()"
            assert self.breaker.get_status() == self.model.status(self.now)
            assert self.breaker.state == self.model.state


class AgainstTheModel(RuleBasedStateMachine):
    """Any sequence of calls and times."""

    pair: Pair

    @initialize(
        threshold=st.integers(0, 4),
        timeout=st.sampled_from([0.0, 0.5, 60.0]),
        most=st.integers(0, 3),
    )
    def make(self, threshold: int, timeout: float, most: int) -> None:
        self.pair = Pair(MLflowCircuitBreaker, threshold, timeout, most)

    @rule(what=st.sampled_from(["success", "failure", "ask"]))
    def call(self, what: str) -> None:
        self.pair.do(what)

    @rule()
    def reset(self) -> None:
        self.pair.do("reset")

    @rule(seconds=st.floats(-30, 4000))
    def advance(self, seconds: float) -> None:
        self.pair.do("advance", seconds)

    @precondition(lambda self: self.pair.model.state == "OPEN")
    @rule(share=st.sampled_from([0.4, 0.99, 1.01, 3.0]))
    def wait_and_ask(self, share: float) -> None:
        self.pair.do("wait", share)
        self.pair.do("ask")


TestAgainstTheModel = AgainstTheModel.TestCase
TestAgainstTheModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def sequences(seed: int) -> Iterator[tuple[tuple[int, float, int], list[tuple[str, float]]]]:
    """Parameters and steps, the same for a seed; failures and waits often enough to get anywhere."""
    chance = random.Random(seed)
    for _ in range(400):
        parameters = (chance.choice([0, 1, 2, 3]), chance.choice([0.0, 10.0]), chance.choice([0, 1, 2]))
        steps = []
        for _ in range(40):
            what = chance.choices(
                ["failure", "success", "ask", "wait", "advance", "reset"], [30, 25, 25, 25, 5, 3]
            )[0]
            steps.append(
                (what, chance.choice([0.4, 0.9, 1.1]) if what == "wait" else chance.choice([-20.0, 3.0]))
            )
        yield parameters, steps


def parts_from_model(kind: type[MLflowCircuitBreaker], monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Where a breaker and the contract part; None where they never do."""
    for name, number in zip(VARIABLES, ("7", "77", "9"), strict=True):
        monkeypatch.setenv(name, number)
    built = kind()
    if (built.failure_threshold, built.recovery_timeout, built.max_recovery_attempts) != (7, 77.0, 9):
        return "environment"
    monkeypatch.setenv(VARIABLES[0], "many")
    try:
        kind()
    except ValueError as error:
        if VARIABLES[0] not in str(error):
            return "environment error"
    else:
        return "environment error"
    for parameters, steps in sequences(7):
        try:
            pair = Pair(kind, *parameters)
        except ValueError:
            return "explicit value"
        for what, value in [("none", 0.0), *steps]:
            try:
                pair.do(what, value)
            except AssertionError:
                return what
    return None


def test_the_breaker_keeps_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parts_from_model(MLflowCircuitBreaker, monkeypatch) is None


@pytest.mark.parametrize("name", MUTANTS)
def test_each_mutant_breaks_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    assert parts_from_model(mutant, monkeypatch) is not None
    assert mutant.__doc__
    assert mutant.CONTRACT
    assert getattr(breaker_mutants, name) is mutant


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("value", ["many", "1.5x", "-1", "nan", "inf", "1e999"])
def test_environment_that_is_no_number(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=variable):
        MLflowCircuitBreaker()
    assert MLflowCircuitBreaker(1, 1.0, 1).state == "CLOSED"  # what is given need not be read


def test_zero_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "9")
    made = MLflowCircuitBreaker(0, 0, 0)
    made.record_failure()
    assert made.state == "OPEN"
    assert made.is_open() is False
    assert made.state == "HALF_OPEN"


def test_the_shared_breaker() -> None:
    breaker.reset_circuit_breaker()
    breaker.circuit_breaker.record_failure()
    assert breaker.get_circuit_breaker_status()["failure_count"] == 1
    assert set(breaker.get_circuit_breaker_status()) == set(FIELDS)
    breaker.reset_circuit_breaker()
    assert breaker.get_circuit_breaker_status()["failure_count"] == 0


def test_wrong_shared_functions() -> None:
    status_of_new.circuit_breaker.record_failure()
    assert status_of_new.get_circuit_breaker_status()["failure_count"] == 0
    reset_of_new.circuit_breaker.record_failure()
    reset_of_new.reset_circuit_breaker()
    assert reset_of_new.get_circuit_breaker_status()["failure_count"] == 1
    reset_of_new.circuit_breaker.force_reset()
    status_of_new.circuit_breaker.force_reset()
