"""The circuit breaker that the contract describes, as a pure model: what any implementation is
compared with. Times are given, never read."""

from dataclasses import dataclass, field

CLOSED, HALF_OPEN, OPEN = "CLOSED", "HALF_OPEN", "OPEN"
SUCCESSES_TO_CLOSE = 2
# The contract allows a wait to stop growing here.
WAIT_CAP = 64


def wait_s(recovery_timeout_s: float, attempts: int, max_attempts: int) -> tuple[float, float]:
    """Least and most that the wait may be, with so many recovery attempts made: the same number
    twice, unless the allowed cap makes a difference."""
    if attempts < max_attempts:
        return (recovery_timeout_s, recovery_timeout_s)
    factor = 2 ** (attempts - max_attempts + 1)
    return (recovery_timeout_s * min(factor, WAIT_CAP), recovery_timeout_s * factor)


@dataclass
class BreakerModel:
    """State and counters as the contract defines them."""

    failure_threshold: int
    recovery_timeout_s: float
    max_recovery_attempts: int
    state: str = CLOSED
    failure_count: int = 0
    consecutive_successes: int = 0
    recovery_attempts: int = 0
    last_failure_time: float | None = None
    last_success_time: float | None = field(default=None)

    def failure(self, now: float) -> None:
        """A counted call failed."""
        self.failure_count += 1
        self.last_failure_time = now
        self.consecutive_successes = 0
        if self.state == HALF_OPEN or (self.state == CLOSED and self.failure_count >= self.failure_threshold):
            self.state = OPEN

    def success(self, now: float) -> None:
        """A counted call succeeded."""
        self.consecutive_successes += 1
        self.last_success_time = now
        if self.state == CLOSED:
            self.failure_count = max(0, self.failure_count - 1)
        elif self.state == HALF_OPEN and self.consecutive_successes >= SUCCESSES_TO_CLOSE:
            self.state = CLOSED
            self.failure_count = 0
            self.recovery_attempts = 0

    def reset(self) -> None:
        """Forced by a person."""
        self.state = CLOSED
        self.failure_count = 0
        self.consecutive_successes = 0
        self.recovery_attempts = 0
        self.last_failure_time = None

    def wait_s(self) -> tuple[float, float]:
        """Least and most that the wait now in force may be."""
        return wait_s(self.recovery_timeout_s, self.recovery_attempts, self.max_recovery_attempts)

    def may_admit(self, now: float) -> tuple[bool, ...]:
        """The right answers to "is a call admitted now?": both exactly at the end of the wait, and
        between a capped and an uncapped one."""
        if self.state != OPEN:
            return (True,)
        least, most = self.wait_s()
        elapsed = max(0.0, now - (self.last_failure_time or 0.0))
        if least == 0.0 or elapsed > most:
            return (True,)
        return (False,) if elapsed < least else (True, False)

    def admitted(self) -> None:
        """A call was admitted: the first one after the wait makes the recovery attempt."""
        if self.state == OPEN:
            self.state = HALF_OPEN
            self.recovery_attempts += 1
            self.consecutive_successes = 0
