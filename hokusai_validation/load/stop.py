"""When a run must end at once: pure."""

from collections import deque

from hokusai_validation.load.plan import StopCondition

MIN_SAMPLES = 20
WINDOW_S = 1.0


class Watch:
    """The last second of a run (or longer, until it holds 20 samples), fed in small portions."""

    def __init__(self, condition: StopCondition) -> None:
        self.condition = condition
        self._portions: deque[tuple[float, int, int, int]] = deque()
        self._requests = self._errors = self._slow = 0

    def add(self, time_s: float, requests: int, errors: int, slow: int) -> None:
        """What was finished up to `time_s`: so many requests, of them so many errors, and so many
        slower than the condition's p99."""
        self._portions.append((time_s, requests, errors, slow))
        self._requests += requests
        self._errors += errors
        self._slow += slow
        while (
            self._portions[0][0] < time_s - WINDOW_S and self._requests - self._portions[0][1] >= MIN_SAMPLES
        ):
            _, requests, errors, slow = self._portions.popleft()
            self._requests -= requests
            self._errors -= errors
            self._slow -= slow

    def reason(self, overdue: int = 0) -> str:
        """Why the run must end, in one sentence, or nothing. `overdue` requests are still in flight
        but have been for longer than the condition's p99. One slow request alone is no p99."""
        requests = self._requests + overdue
        if self._requests >= MIN_SAMPLES and self._errors > self.condition.error_rate * self._requests:
            return (
                f"The error rate over the last second was {self._errors / self._requests:.0%} of"
                f" {self._requests} requests, above the target's stop condition of"
                f" {self.condition.error_rate:.0%}."
            )
        slow = self._slow + overdue
        if slow >= 2 and requests >= MIN_SAMPLES and slow > requests / 100:
            return (
                f"The p99 over the last second passed the target's stop condition of"
                f" {self.condition.p99_ms:g} ms: {slow} of {requests} requests were slower."
            )
        return ""
