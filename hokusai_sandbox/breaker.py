"""The circuit breaker between the API and MLflow, to the service contract.

Times are wall-clock seconds of `time.time()`, as the contract says; a clock set back gives
elapsed times of 0. `circuit_breaker` is the shared instance of a gateway process.
"""

import math
import os
import threading
import time
from enum import StrEnum
from typing import Any

SUCCESSES_TO_CLOSE = 2
MAX_BACKOFF_FACTOR = 64  # the contract allows a cap; without one a long outage is waited out for days


class BreakerState(StrEnum):
    """CLOSED admits calls, OPEN refuses them, HALF_OPEN tries whether MLflow is back."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class MLflowCircuitBreaker:
    """Counts what calls to MLflow came to, and says whether the next one may go out.

    Parameters that are None come from `MLFLOW_CB_FAILURE_THRESHOLD` (5),
    `MLFLOW_CB_RECOVERY_TIMEOUT` (60, seconds) and `MLFLOW_CB_MAX_RECOVERY_ATTEMPTS` (5); an
    explicit value wins, zero included. Raises ValueError, naming the variable, when its value is
    no usable number."""

    def __init__(
        self,
        failure_threshold: int | None = None,
        recovery_timeout: float | None = None,
        max_recovery_attempts: int | None = None,
    ) -> None:
        self.failure_threshold = (
            _whole("MLFLOW_CB_FAILURE_THRESHOLD", 5) if failure_threshold is None else failure_threshold
        )
        self.recovery_timeout = (
            _seconds("MLFLOW_CB_RECOVERY_TIMEOUT", 60.0) if recovery_timeout is None else recovery_timeout
        )
        self.max_recovery_attempts = (
            _whole("MLFLOW_CB_MAX_RECOVERY_ATTEMPTS", 5)
            if max_recovery_attempts is None
            else max_recovery_attempts
        )
        self._lock = threading.RLock()
        self.state: BreakerState = BreakerState.CLOSED
        self.failure_count = 0
        self.consecutive_successes = 0
        self.recovery_attempts = 0
        self.last_failure_time: float | None = None
        self.last_success_time: float | None = None

    def is_open(self) -> bool:
        """Whether calls are refused. Once the wait is over, this moves OPEN to HALF_OPEN and
        admits the call."""
        with self._lock:
            if self.state is BreakerState.OPEN and self.wait_is_over():
                self.state = BreakerState.HALF_OPEN
                self.recovery_attempts += 1
                self.consecutive_successes = 0
            return self.state is BreakerState.OPEN

    def record_success(self) -> None:
        """A call to MLflow was answered well."""
        with self._lock:
            self.consecutive_successes += 1
            self.last_success_time = time.time()
            if self.state is BreakerState.CLOSED:
                self.failure_count = max(0, self.failure_count - 1)
            elif self.state is BreakerState.HALF_OPEN and self.enough_successes():
                self.state = BreakerState.CLOSED
                self.failure_count = 0
                self.recovery_attempts = 0

    def record_failure(self) -> None:
        """A call to MLflow failed: no connection, a time-out, a 5xx."""
        with self._lock:
            self.failure_count += 1
            self.last_failure_time = time.time()
            self.consecutive_successes = 0
            if self.state is BreakerState.HALF_OPEN or (
                self.state is BreakerState.CLOSED and self.too_many_failures()
            ):
                self.state = BreakerState.OPEN

    def force_reset(self) -> None:
        """Back to CLOSED at once, with all counters at 0 and no failure time."""
        with self._lock:
            self.state = BreakerState.CLOSED
            self.failure_count = 0
            self.consecutive_successes = 0
            self.recovery_attempts = 0
            self.last_failure_time = None

    def get_status(self) -> dict[str, Any]:
        """The state, counters, times (epoch seconds), spans (seconds) and parameters, as JSON."""
        with self._lock:
            failed = self.last_failure_time is not None
            waiting = self.state is BreakerState.OPEN
            return {
                "state": str(self.state),
                "failure_count": self.failure_count,
                "consecutive_successes": self.consecutive_successes,
                "recovery_attempts": self.recovery_attempts,
                "last_failure_time": self.last_failure_time,
                "last_success_time": self.last_success_time,
                "time_since_last_failure": self.since_failure_s() if failed else None,
                "time_until_retry": max(0.0, self.wait_s() - self.since_failure_s()) if waiting else 0.0,
                "failure_threshold": self.failure_threshold,
                "recovery_timeout": self.recovery_timeout,
            }

    def since_failure_s(self) -> float:
        """Seconds since the last failure: 0 without one, and never negative."""
        if self.last_failure_time is None:
            return 0.0
        return max(0.0, time.time() - self.last_failure_time)

    def wait_s(self) -> float:
        """The wait now in force, from the last failure on: it doubles with each recovery attempt
        past the last allowed one."""
        beyond = self.recovery_attempts - self.max_recovery_attempts
        if beyond < 0:
            return self.recovery_timeout
        factor: int = 2 ** min(beyond + 1, MAX_BACKOFF_FACTOR.bit_length() - 1)
        return self.recovery_timeout * factor

    def wait_is_over(self) -> bool:
        """Whether an OPEN breaker may try again."""
        return self.last_failure_time is None or self.since_failure_s() >= self.wait_s()

    def too_many_failures(self) -> bool:
        """Whether a CLOSED breaker has to open, asked after a failure was counted."""
        return self.failure_count >= self.failure_threshold

    def enough_successes(self) -> bool:
        """Whether a HALF_OPEN breaker may close, asked after a success was counted."""
        return self.consecutive_successes >= SUCCESSES_TO_CLOSE


def _whole(variable: str, default: int) -> int:
    text = os.environ.get(variable)
    if text is None or not text.strip():
        return default
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"{variable} is {text!r}, which is no whole number; give one, 0 or more.") from None
    if value < 0:
        raise ValueError(f"{variable} is {text!r}, which is below 0; give a whole number, 0 or more.")
    return value


def _seconds(variable: str, default: float) -> float:
    text = os.environ.get(variable)
    if text is None or not text.strip():
        return default
    try:
        value = float(text)
    except ValueError:
        raise ValueError(
            f"{variable} is {text!r}, which is no number; give seconds, such as 60 or 0.5."
        ) from None
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{variable} is {text!r}, which is no span of time; give seconds, 0 or more.")
    return value


circuit_breaker = MLflowCircuitBreaker()


def get_circuit_breaker_status() -> dict[str, Any]:
    """The shared breaker's status."""
    return circuit_breaker.get_status()


def reset_circuit_breaker() -> None:
    """Force the shared breaker back to CLOSED."""
    circuit_breaker.force_reset()
