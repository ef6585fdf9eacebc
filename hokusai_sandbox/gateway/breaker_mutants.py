"""Circuit breakers that break the contract in one place each, to show that a test can fail.

Each is a whole breaker, importable as `hokusai_sandbox.gateway.breaker_mutants:NAME`.
Its docstring says what is wrong; `CONTRACT` is the contract's sentence that it breaks. The shared
functions of this module are right; wrong ones are in `shared_mutants`.
"""

import os
import time
from typing import Any, ClassVar

from hokusai_sandbox.breaker import (
    BreakerState,
    MLflowCircuitBreaker,
    get_circuit_breaker_status,
    reset_circuit_breaker,
)

__all__ = ["MUTANTS", "Mutant", "get_circuit_breaker_status", "reset_circuit_breaker"]

_WAIT = (
    "The wait, with k recovery attempts made so far: recovery_timeout while k < max_recovery_attempts,"
    " then recovery_timeout × 2^(k − max + 1): 2×, 4×, 8× and so on."
)
_HALF_OPEN = (
    "HALF_OPEN: two successes in a row → CLOSED, failure_count and recovery_attempts 0; one failure → OPEN."
)
_RESET = "From OPEN and HALF_OPEN: CLOSED, counters 0, no failure time."
_ANY = (
    "Any failure: failure_count + 1, last_failure_time set, consecutive_successes 0, in every state."
    " Any success: consecutive_successes + 1, last_success_time set."
)
_CLOSED = "CLOSED: a success takes one off failure_count (not below 0)."
_THRESHOLD = "failure_count ≥ threshold after a failure → OPEN. Threshold 0: the first failure opens."
_EXPLICIT = "An explicit value always wins, zero included."
_RETRY = (
    "Once the wait since the last failure is over, the next is_open() moves to HALF_OPEN, adds one to"
    " recovery_attempts, sets consecutive_successes 0 and admits the call."
)
_ENVIRONMENT = (
    "Parameters, from the environment unless given. An environment value that is no number gives an"
    " error that names the variable."
)
_CLOCK = "A clock set back gives times of 0, never negative."
_STATUS = (
    "get_status(): state, failure_count, consecutive_successes, recovery_attempts, last_failure_time,"
    " last_success_time, time_since_last_failure, time_until_retry, failure_threshold, recovery_timeout."
)


class Mutant(MLflowCircuitBreaker):
    """What they have in common: a sentence of the contract that they break."""

    CONTRACT: ClassVar[str]


class OpensOneLate(Mutant):
    """Opens one failure after the threshold."""

    CONTRACT = _THRESHOLD

    def too_many_failures(self) -> bool:
        return self.failure_count > self.failure_threshold


class OpensOneEarly(Mutant):
    """Opens one failure before the threshold."""

    CONTRACT = _THRESHOLD

    def too_many_failures(self) -> bool:
        return self.failure_count >= self.failure_threshold - 1


class NeverOpens(Mutant):
    """Counts failures, and never opens."""

    CONTRACT = _THRESHOLD

    def too_many_failures(self) -> bool:
        return False


class StartsOpen(Mutant):
    """Is OPEN when it is made."""

    CONTRACT = "A new breaker: CLOSED, admits calls, counters 0, no failure time."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state = BreakerState.OPEN
        self.last_failure_time = time.time()


class NeverHalfOpen(Mutant):
    """Once OPEN it stays OPEN, however long the wait."""

    CONTRACT = _RETRY

    def wait_is_over(self) -> bool:
        return False


class HalfOpenTooEarly(Mutant):
    """Tries again after half the wait."""

    CONTRACT = _RETRY

    def wait_is_over(self) -> bool:
        return self.since_failure_s() >= self.wait_s() / 2


class AttemptsNotCounted(Mutant):
    """Going to HALF_OPEN counts no recovery attempt."""

    CONTRACT = _RETRY

    def is_open(self) -> bool:
        attempts = self.recovery_attempts
        is_open = super().is_open()
        self.recovery_attempts = attempts
        return is_open


class SuccessesKeptOnRetry(Mutant):
    """A success reported while OPEN counts for HALF_OPEN, so one more closes."""

    CONTRACT = _RETRY

    def is_open(self) -> bool:
        successes = self.consecutive_successes
        is_open = super().is_open()
        self.consecutive_successes = successes
        return is_open


class ZeroIgnored(Mutant):
    """Explicit zeros are taken for "not given"."""

    CONTRACT = _EXPLICIT

    def __init__(
        self,
        failure_threshold: int | None = None,
        recovery_timeout: float | None = None,
        max_recovery_attempts: int | None = None,
    ) -> None:
        super().__init__(failure_threshold or None, recovery_timeout or None, max_recovery_attempts or None)


class EnvironmentWins(Mutant):
    """Variables of the environment override explicit values."""

    CONTRACT = _EXPLICIT

    def __init__(
        self,
        failure_threshold: int | None = None,
        recovery_timeout: float | None = None,
        max_recovery_attempts: int | None = None,
    ) -> None:
        super().__init__(
            None if "MLFLOW_CB_FAILURE_THRESHOLD" in os.environ else failure_threshold,
            None if "MLFLOW_CB_RECOVERY_TIMEOUT" in os.environ else recovery_timeout,
            None if "MLFLOW_CB_MAX_RECOVERY_ATTEMPTS" in os.environ else max_recovery_attempts,
        )


class EnvironmentIgnored(Mutant):
    """The variables of the environment are not read."""

    CONTRACT = _ENVIRONMENT

    def __init__(
        self,
        failure_threshold: int | None = None,
        recovery_timeout: float | None = None,
        max_recovery_attempts: int | None = None,
    ) -> None:
        super().__init__(
            5 if failure_threshold is None else failure_threshold,
            60.0 if recovery_timeout is None else recovery_timeout,
            5 if max_recovery_attempts is None else max_recovery_attempts,
        )


class GarbageIgnored(EnvironmentIgnored):
    """A variable that is no number is passed over in silence."""

    CONTRACT = _ENVIRONMENT

    def __init__(
        self,
        failure_threshold: int | None = None,
        recovery_timeout: float | None = None,
        max_recovery_attempts: int | None = None,
    ) -> None:
        try:
            MLflowCircuitBreaker.__init__(self, failure_threshold, recovery_timeout, max_recovery_attempts)
        except ValueError:
            super().__init__(failure_threshold, recovery_timeout, max_recovery_attempts)


class NoBackoff(Mutant):
    """The wait never grows."""

    CONTRACT = _WAIT

    def wait_s(self) -> float:
        return self.recovery_timeout


class BackoffOneLate(Mutant):
    """The wait doubles one recovery attempt too late."""

    CONTRACT = _WAIT

    def wait_s(self) -> float:
        beyond = self.recovery_attempts - self.max_recovery_attempts
        return self.recovery_timeout * float(2 ** min(max(beyond, 0), 6))


class BackoffOneEarly(Mutant):
    """The wait doubles one recovery attempt too early."""

    CONTRACT = _WAIT

    def wait_s(self) -> float:
        beyond = self.recovery_attempts - self.max_recovery_attempts + 1
        return self.recovery_timeout * float(2 ** min(beyond + 1, 6) if beyond >= 0 else 1)


class LinearBackoff(Mutant):
    """The wait grows by 2×, 3×, 4× instead of 2×, 4×, 8×."""

    CONTRACT = _WAIT

    def wait_s(self) -> float:
        beyond = self.recovery_attempts - self.max_recovery_attempts
        return self.recovery_timeout * float(beyond + 2 if beyond >= 0 else 1)


class CountsKeptOnReset(Mutant):
    """A reset closes, and keeps the counters."""

    CONTRACT = _RESET

    def force_reset(self) -> None:
        self.state = BreakerState.CLOSED
        self.last_failure_time = None


class FailureTimeKeptOnReset(Mutant):
    """A reset keeps the time of the last failure."""

    CONTRACT = _RESET

    def force_reset(self) -> None:
        failed = self.last_failure_time
        super().force_reset()
        self.last_failure_time = failed


class ResetOnlyFromOpen(Mutant):
    """A reset while HALF_OPEN does nothing."""

    CONTRACT = _RESET

    def force_reset(self) -> None:
        if self.state is not BreakerState.HALF_OPEN:
            super().force_reset()


class OneSuccessCloses(Mutant):
    """One success in HALF_OPEN closes."""

    CONTRACT = _HALF_OPEN

    def enough_successes(self) -> bool:
        return self.consecutive_successes >= 1


class ThreeSuccessesClose(Mutant):
    """HALF_OPEN needs three successes."""

    CONTRACT = _HALF_OPEN

    def enough_successes(self) -> bool:
        return self.consecutive_successes >= 3


class FailuresKeptOnClose(Mutant):
    """Closing keeps failure_count, so the next failure opens again."""

    CONTRACT = _HALF_OPEN

    def record_success(self) -> None:
        failures, was = self.failure_count, self.state
        super().record_success()
        if was is BreakerState.HALF_OPEN:
            self.failure_count = failures


class AttemptsKeptOnClose(Mutant):
    """Closing keeps recovery_attempts, so the next outage begins with a long wait."""

    CONTRACT = _HALF_OPEN

    def record_success(self) -> None:
        attempts = self.recovery_attempts
        super().record_success()
        self.recovery_attempts = attempts


class HalfOpenFailureIgnored(Mutant):
    """A failure in HALF_OPEN does not open."""

    CONTRACT = _HALF_OPEN

    def record_failure(self) -> None:
        was = self.state
        super().record_failure()
        if was is BreakerState.HALF_OPEN:
            self.state = was


class SuccessNeverDecrements(Mutant):
    """A success in CLOSED takes nothing off failure_count."""

    CONTRACT = _CLOSED

    def record_success(self) -> None:
        failures, was = self.failure_count, self.state
        super().record_success()
        if was is BreakerState.CLOSED:
            self.failure_count = failures


class SuccessClearsFailures(Mutant):
    """One success in CLOSED forgets all failures."""

    CONTRACT = _CLOSED

    def record_success(self) -> None:
        was = self.state
        super().record_success()
        if was is BreakerState.CLOSED:
            self.failure_count = 0


class CountBelowZero(Mutant):
    """failure_count goes below 0, so that an outage takes longer to be noticed."""

    CONTRACT = _CLOSED

    def record_success(self) -> None:
        failures, was = self.failure_count, self.state
        super().record_success()
        if was is BreakerState.CLOSED:
            self.failure_count = failures - 1


class SuccessWhileOpenCloses(Mutant):
    """A success reported while OPEN closes at once."""

    CONTRACT = "OPEN: no call reaches MLflow; a success reported meanwhile changes no state."

    def record_success(self) -> None:
        super().record_success()
        if self.state is BreakerState.OPEN:
            self.force_reset()


class FailureWhileOpenIgnored(Mutant):
    """A failure while OPEN does not prolong the wait."""

    CONTRACT = _ANY

    def record_failure(self) -> None:
        if self.state is not BreakerState.OPEN:
            super().record_failure()


class SuccessesKeptOnFailure(Mutant):
    """A failure leaves consecutive_successes as it was."""

    CONTRACT = _ANY

    def record_failure(self) -> None:
        successes = self.consecutive_successes
        super().record_failure()
        self.consecutive_successes = successes


class SuccessNotStamped(Mutant):
    """last_success_time is never set."""

    CONTRACT = _ANY

    def record_success(self) -> None:
        super().record_success()
        self.last_success_time = None


class NegativeTimes(Mutant):
    """A clock set back gives negative times."""

    CONTRACT = _CLOCK

    def since_failure_s(self) -> float:
        return 0.0 if self.last_failure_time is None else time.time() - self.last_failure_time


class RetryTimeWithoutBackoff(Mutant):
    """time_until_retry knows nothing of the extended wait."""

    CONTRACT = "0 < time_until_retry ≤ the wait now in force (the extended one too)."

    def get_status(self) -> dict[str, Any]:
        status = super().get_status()
        if self.state is BreakerState.OPEN:
            status["time_until_retry"] = max(0.0, self.recovery_timeout - self.since_failure_s())
        return status


class StatusFieldsMissing(Mutant):
    """get_status() leaves out two fields."""

    CONTRACT = _STATUS

    def get_status(self) -> dict[str, Any]:
        status = super().get_status()
        del status["time_until_retry"], status["recovery_attempts"]
        return status


class StatusAlwaysClosed(Mutant):
    """get_status() says CLOSED in every state."""

    CONTRACT = _STATUS

    def get_status(self) -> dict[str, Any]:
        return super().get_status() | {"state": "CLOSED"}


MUTANTS: dict[str, type[Mutant]] = {
    item.__name__: item
    for item in sorted(globals().copy().values(), key=str)
    if isinstance(item, type) and issubclass(item, Mutant) and item is not Mutant
}
