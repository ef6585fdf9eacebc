"""The contract's circuit breaker once more, as plainly as it can be written, with time given."""

from dataclasses import dataclass
from typing import Any

FIELDS = (
    "state",
    "failure_count",
    "consecutive_successes",
    "recovery_attempts",
    "last_failure_time",
    "last_success_time",
    "time_since_last_failure",
    "time_until_retry",
    "failure_threshold",
    "recovery_timeout",
)


@dataclass
class ModelBreaker:
    """State and counters of the contract."""

    threshold: int
    timeout: float
    most: int
    state: str = "CLOSED"
    failures: int = 0
    successes: int = 0
    attempts: int = 0
    failed: float | None = None
    succeeded: float | None = None

    def wait(self) -> float:
        if self.attempts < self.most:
            return self.timeout
        return float(self.timeout * min(2 ** (self.attempts - self.most + 1), 64))

    def elapsed(self, now: float) -> float:
        return max(0.0, now - (now if self.failed is None else self.failed))

    def is_open(self, now: float) -> bool:
        if self.state == "OPEN" and self.elapsed(now) >= self.wait():
            self.state, self.successes = "HALF_OPEN", 0
            self.attempts += 1
        return self.state == "OPEN"

    def success(self, now: float) -> None:
        self.successes += 1
        self.succeeded = now
        if self.state == "CLOSED":
            self.failures = max(0, self.failures - 1)
        elif self.state == "HALF_OPEN" and self.successes == 2:
            self.state, self.failures, self.attempts = "CLOSED", 0, 0

    def failure(self, now: float) -> None:
        self.failures += 1
        self.failed = now
        self.successes = 0
        if self.state == "HALF_OPEN" or (self.state == "CLOSED" and self.failures >= self.threshold):
            self.state = "OPEN"

    def reset(self) -> None:
        self.state, self.failures, self.successes, self.attempts, self.failed = "CLOSED", 0, 0, 0, None

    def status(self, now: float) -> dict[str, Any]:
        left = max(0.0, self.wait() - self.elapsed(now)) if self.state == "OPEN" else 0.0
        values = (
            self.state,
            self.failures,
            self.successes,
            self.attempts,
            self.failed,
            self.succeeded,
            None if self.failed is None else self.elapsed(now),
            left,
            self.threshold,
            self.timeout,
        )
        return dict(zip(FIELDS, values, strict=True))
