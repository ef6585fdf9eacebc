"""Samples on their way into histograms. The hot path appends three times to a list (due, sent,
answered, in seconds of the clock); everything else is done here, in bulk, ten times a second."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hokusai_validation.load.histogram import Histogram
from hokusai_validation.load.outcome import TIMEOUTS, EndpointOutcome, Second
from hokusai_validation.load.plan import Endpoint


@dataclass
class Judged:
    """Which part of a run counts, in seconds of the clock: `start` to `end`, in equal `segments`."""

    start: float = 0.0
    end: float = float("inf")
    segments: int = 1


@dataclass
class Portion:
    """What one flush took in, ramp-up included."""

    requests: int = 0
    errors: int = 0
    slow: int = 0
    ramp_up_requests: int = 0
    ramp_up_errors: int = 0


@dataclass
class Recorder:
    """Of one endpoint."""

    endpoint: Endpoint
    judged: Judged
    outcome: EndpointOutcome = field(init=False)
    _logs: dict[int, list[float]] = field(default_factory=dict)
    _failures: list[tuple[str, float, float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        parts = self.judged.segments
        segments = [Histogram() for _ in range(parts)] if parts > 1 else []
        self.outcome = EndpointOutcome(self.endpoint.name, segments=segments)

    def log(self, status: int) -> list[float]:
        """Where samples of a status go: due, sent, answered, due, sent, answered, …"""
        return self._logs.setdefault(status, [])

    def failed(self, kind: str, intended: float, sent: float, now: float) -> None:
        """A request without a usable answer; `sent` is NaN when it never was."""
        self._failures.append((kind, intended, sent, now))

    def flush(self, second: Second, portion: Portion, slow_s: float) -> None:
        """Take everything in; `slow_s` is the latency above which a sample counts as slow."""
        low, high = self.endpoint.good
        for status, log in self._logs.items():
            if not log:
                continue
            samples = np.array(log).reshape(-1, 3)
            log.clear()
            late = samples[:, 2] - samples[:, 1] > self.endpoint.deadline_s
            if low <= status <= high:
                self._take(samples, status, "timeout_whole", late, True, second, portion, slow_s)
            else:
                bad = np.ones(len(samples), dtype=bool)
                kind = f"status_{status // 100}xx"
                self._take(samples, status, kind, bad, False, second, portion, slow_s)
        failures, self._failures = self._failures, []
        for kind in {failure[0] for failure in failures}:
            samples = np.array([failure[1:] for failure in failures if failure[0] == kind])
            bad = np.ones(len(samples), dtype=bool)
            self._take(samples, None, kind, bad, kind in TIMEOUTS, second, portion, slow_s)

    def _take(
        self,
        samples: NDArray[np.float64],
        status: int | None,
        kind: str,
        bad: NDArray[np.bool_],
        timed: bool,
        second: Second,
        portion: Portion,
        slow_s: float,
    ) -> None:
        """Samples of one kind: `bad` tells which are errors, `timed` whether they are latencies."""
        intended, since_sent = samples[:, 2] - samples[:, 0], samples[:, 2] - samples[:, 1]
        errors = int(bad.sum())
        portion.requests += len(samples)
        portion.errors += errors
        second.requests += len(samples)
        second.errors += errors
        if timed:
            portion.slow += int((intended > slow_s).sum())
            second.latency.record_all(intended)
        counted = samples[:, 0] >= self.judged.start
        if not counted.all():
            portion.ramp_up_requests += int((~counted).sum())
            portion.ramp_up_errors += int((bad & ~counted).sum())
            samples, bad = samples[counted], bad[counted]
            intended, since_sent = intended[counted], since_sent[counted]
            errors = int(bad.sum())
        outcome = self.outcome
        outcome.requests += len(samples)
        outcome.good += len(samples) - errors
        if errors:
            outcome.errors[kind] += errors
        if status is not None and len(samples):
            outcome.statuses[status] += len(samples)
        if timed:
            outcome.intended.record_all(intended)
            outcome.sent.record_all(since_sent[~np.isnan(since_sent)])
            if outcome.segments:
                self._segment(samples[:, 0], intended)

    def _segment(self, due: NDArray[np.float64], latency: NDArray[np.float64]) -> None:
        parts = len(self.outcome.segments)
        share = (due - self.judged.start) / (self.judged.end - self.judged.start)
        # A request due at the very start of a segment is in it, whatever the clock's last bits say.
        which = np.clip(np.floor(share * parts + 1e-6).astype(np.int64), 0, parts - 1)
        for index in range(parts):
            self.outcome.segments[index].record_all(latency[which == index])
