"""What came of a run: counts, histograms and the generator's check of itself, of one process or merged."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hokusai_validation.load.histogram import Histogram

# Kinds of error that are latencies as well: the request took at least so long.
TIMEOUTS = ("timeout_connect", "timeout_queue", "timeout_first_byte", "timeout_whole")


@dataclass
class EndpointOutcome:
    """Of one endpoint, without the ramp-up. `intended` and `sent` are latencies since a request was
    due and since it was sent, of answers that were good and of time-outs (up to where they were
    given up); other errors are counted by kind only. `segments` are parts of `intended`."""

    name: str
    requests: int = 0
    good: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    intended: Histogram = field(default_factory=Histogram)
    sent: Histogram = field(default_factory=Histogram)
    segments: list[Histogram] = field(default_factory=list)

    @property
    def good_share(self) -> float:
        """Good answers / requests; 0 when there were none."""
        return self.good / self.requests if self.requests else 0.0

    @property
    def error_rate(self) -> float:
        """Errors / requests; 0 when there were none."""
        return 1 - self.good_share if self.requests else 0.0

    def add(self, other: "EndpointOutcome") -> None:
        """The same endpoint's part of another process."""
        self.requests += other.requests
        self.good += other.good
        self.statuses += other.statuses
        self.errors += other.errors
        self.intended.add(other.intended)
        self.sent.add(other.sent)
        if not self.segments:
            self.segments = [Histogram() for _ in other.segments]
        for mine, its in zip(self.segments, other.segments, strict=True):
            mine.add(its)


@dataclass
class SelfCheck:
    """How well the generator kept up. `lag` is how long after they were due requests were taken up
    (not how long they then waited for a free connection: that is `waited` of them, because
    `connections` was reached); `throttled` how many of a closed run were held back to keep the
    permitted rate; `cpu_share` is the share of one core of the busiest process."""

    processes: int = 1
    due: int = 0
    late: int = 0
    dropped: int = 0
    waited: int = 0
    throttled: int = 0
    cpu_share: float = 0.0
    lag: Histogram = field(default_factory=Histogram)

    @property
    def late_share(self) -> float:
        """The share of requests that were taken up more than 1 ms after they were due."""
        return self.late / self.due if self.due else 0.0

    def add(self, other: "SelfCheck") -> None:
        """Another process's."""
        self.due += other.due
        self.late += other.late
        self.dropped += other.dropped
        self.waited += other.waited
        self.throttled += other.throttled
        self.cpu_share = max(self.cpu_share, other.cpu_share)
        self.lag.add(other.lag)

    def numbers(self) -> dict[str, float]:
        """As metrics, units in their names."""
        return {
            "processes": float(self.processes),
            "late_share": round(self.late_share, 6),
            "lag_p99_ms": round(self.lag.percentile_ms(99) or 0.0, 3),
            "lag_max_ms": round(self.lag.max_ms or 0.0, 3),
            "cpu_share": round(self.cpu_share, 4),
            "dropped": float(self.dropped),
            "waited_for_connection": float(self.waited),
            "throttled": float(self.throttled),
        }


@dataclass
class Second:
    """One second of a run, the ramp-up's too: what was finished in it."""

    index: int
    requests: int = 0
    errors: int = 0
    latency: Histogram = field(default_factory=Histogram)

    def numbers(self) -> dict[str, float]:
        """One entry of a series; a latency only where there are samples."""
        entry = {
            "t_s": float(self.index),
            "rate_per_s": float(self.requests),
            "request_errors": float(self.errors),
        }
        for name, percent in (("p50_ms", 50.0), ("p95_ms", 95.0), ("p99_ms", 99.0)):
            value = self.latency.percentile_ms(percent)
            if value is not None:
                entry[name] = round(value, 3)
        if self.latency.max_ms is not None:
            entry["max_ms"] = round(self.latency.max_ms, 3)
        return entry


@dataclass
class Outcome:
    """The whole run. `model` is `open` or `closed`; `stopped` the reason why it ended at once, or
    empty; `replaced` how many connections the target had closed while they were idle, `retried` how
    many requests met such a close on its way and were sent again; `aborted` what was in flight when
    the run was stopped; `elapsed_s` the judged time, `ramp_up_*` what is left out of everything else."""

    model: str
    elapsed_s: float = 0.0
    started_at_s: float = 0.0  # Unix time
    endpoints: dict[str, EndpointOutcome] = field(default_factory=dict)
    check: SelfCheck = field(default_factory=SelfCheck)
    seconds: list[Second] = field(default_factory=list)
    stopped: str = ""
    replaced: int = 0
    retried: int = 0
    aborted: int = 0
    connects: int = 0
    ramp_up_requests: int = 0
    ramp_up_errors: int = 0

    @property
    def requests(self) -> int:
        """Finished requests, good or not."""
        return sum(each.requests for each in self.endpoints.values())

    @property
    def good(self) -> int:
        """Good answers in time."""
        return sum(each.good for each in self.endpoints.values())

    @property
    def good_share(self) -> float:
        """Good answers / requests; 0 when there were none."""
        return self.good / self.requests if self.requests else 0.0

    @property
    def rate_per_s(self) -> float:
        """Finished requests a second of the judged time."""
        return self.requests / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def errors(self) -> Mapping[str, int]:
        """Errors of all endpoints, by kind."""
        return dict(sum((each.errors for each in self.endpoints.values()), Counter[str]()))

    @property
    def statuses(self) -> Mapping[int, int]:
        """Answers of all endpoints, by status."""
        return dict(sum((each.statuses for each in self.endpoints.values()), Counter[int]()))

    @property
    def intended(self) -> Histogram:
        """Latency since requests were due, of all endpoints."""
        return total(each.intended for each in self.endpoints.values())

    @property
    def sent(self) -> Histogram:
        """Latency since requests were sent, of all endpoints."""
        return total(each.sent for each in self.endpoints.values())

    def add(self, other: "Outcome") -> None:
        """Another process's part of the same run."""
        for name, part in other.endpoints.items():
            self.endpoints.setdefault(name, EndpointOutcome(name)).add(part)
        self.check.add(other.check)
        self.elapsed_s = max(self.elapsed_s, other.elapsed_s)
        self.stopped = self.stopped or other.stopped
        self.replaced += other.replaced
        self.retried += other.retried
        self.aborted += other.aborted
        self.connects += other.connects
        self.ramp_up_requests += other.ramp_up_requests
        self.ramp_up_errors += other.ramp_up_errors

    def add_second(self, second: Second) -> None:
        """One second of one process's part."""
        while len(self.seconds) <= second.index:
            self.seconds.append(Second(len(self.seconds)))
        mine = self.seconds[second.index]
        mine.requests += second.requests
        mine.errors += second.errors
        mine.latency.add(second.latency)


def total(histograms: Iterable[Histogram]) -> Histogram:
    """All of them as one."""
    merged = Histogram()
    for histogram in histograms:
        merged.add(histogram)
    return merged
