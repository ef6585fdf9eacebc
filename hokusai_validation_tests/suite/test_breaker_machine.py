"""Random sequences against the contract's model: what is right passes, what is wrong is found with
a short sequence, the same one each time."""

import time

import pytest

from hokusai_sandbox.breaker import MLflowCircuitBreaker
from hokusai_sandbox.gateway.breaker_mutants import MUTANTS
from hokusai_validation.probes.breaker_machine import belongs_to, counterexample
from hokusai_validation.probes.breaker_model import CLOSED, HALF_OPEN, OPEN, BreakerModel, wait_s

# What sequences of calls and waits alone can show.
FOUND = {
    "OpensOneLate": "U4",
    "SuccessesKeptOnFailure": "U14",
    "SuccessNeverDecrements": "U15",
    "OneSuccessCloses": "U6",
    "HalfOpenFailureIgnored": "U7",
    "LinearBackoff": "U9",
    "SuccessClearsFailures": "U15",
    "StartsOpen": "U1",
}
QUICK = ("OpensOneLate", "LinearBackoff", "StartsOpen")


class Uncapped(MLflowCircuitBreaker):
    """Right as well: the cap of the wait is allowed, and no duty."""

    def wait_s(self) -> float:
        beyond = self.recovery_attempts - self.max_recovery_attempts
        return self.recovery_timeout * float(1 if beyond < 0 else 2 ** (beyond + 1))


class Raises(MLflowCircuitBreaker):
    def record_success(self) -> None:
        raise RuntimeError("not today")


@pytest.mark.parametrize("right", [MLflowCircuitBreaker, Uncapped])
def test_nothing_is_found_in_a_right_breaker(right: type[MLflowCircuitBreaker]) -> None:
    before = time.time()
    assert counterexample(right) is None
    assert abs(time.time() - before) < 60, "the clock is not what it was"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.soak) for name in FOUND]
)
def test_wrong_breaker_has_a_short_counterexample(name: str) -> None:
    found = counterexample(MUTANTS[name])
    assert found is not None
    assert found.belongs_to == FOUND[name]
    assert len(found.steps) <= 12
    assert str(found).startswith("After threshold ")
    assert "expected" in str(found) or "must be" in str(found)


def test_counterexample_is_the_same_each_time() -> None:
    assert counterexample(MUTANTS["OpensOneLate"]) == counterexample(MUTANTS["OpensOneLate"])


def test_breaker_that_raises_is_a_counterexample() -> None:
    found = counterexample(Raises)
    assert found is not None
    assert "record_success() raised RuntimeError: not today" in found.difference


def test_every_difference_belongs_to_a_catalogued_test() -> None:
    names = ("state", "failure_count", "consecutive_successes", "recovery_attempts", "last_failure_time", "")
    seen = {
        belongs_to(before, action, name, late)
        for before in (CLOSED, HALF_OPEN, OPEN)
        for action in ("construct", "failure", "success", "ask", "reset")
        for name in names
        for late in (-1, 0, 1)
    }
    assert seen == {"U1", "U2", "U3", "U4", "U5", "U6", "U7", "U8", "U9", "U10", "U14", "U15"}


@pytest.mark.parametrize(
    ("attempts", "most", "expected"),
    [(0, 2, 1), (1, 2, 1), (2, 2, 2), (3, 2, 4), (4, 2, 8), (0, 0, 2), (7, 2, 64), (9, 2, 64)],
)
def test_wait_of_the_model(attempts: int, most: int, expected: int) -> None:
    assert wait_s(10.0, attempts, most)[0] == expected * 10.0
    assert wait_s(0.0, attempts, most) == (0.0, 0.0)


def test_model_exactly_at_the_end_allows_both() -> None:
    model = BreakerModel(1, 10.0, 5)
    model.failure(100.0)
    assert model.may_admit(109.9) == (False,)
    assert model.may_admit(110.0) == (True, False)
    assert model.may_admit(110.1) == (True,)
    assert model.may_admit(50.0) == (False,)
