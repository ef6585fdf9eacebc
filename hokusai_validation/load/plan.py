"""What a run is to do, complete and checked before the first request: plain data that goes to the
worker processes. Nothing heavy is imported here, for a worker starts with it."""

import math
from dataclasses import dataclass, field

from hokusai_validation.errors import UsageError
from hokusai_validation.load.schedule import Schedule, cycle

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BODY_LIMIT_BYTES = 16 * 1024 * 1024
ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
MAX_CONNECTIONS = 10_000


@dataclass(frozen=True)
class Origin:
    """Where to connect: addresses that are already resolved, and the name that is asked for."""

    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...]
    ca_file: str | None = None

    @property
    def authority(self) -> str:
        """The value of the `Host` header."""
        usual = {"http": 80, "https": 443}[self.scheme]
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == usual else f"{host}:{self.port}"


@dataclass(frozen=True)
class Endpoint:
    """One kind of request of a mix. An answer later than `deadline_s` after it was sent is a
    time-out; an answer whose status lies outside `good` (both ends included) is an error. Redirects
    are answers, never followed.

    Raises UsageError for what can't be sent."""

    name: str
    path: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    weight: int = 1
    deadline_s: float = 10.0
    good: tuple[int, int] = (200, 399)

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or self.path.startswith("//"):
            raise UsageError(
                f"Path {self.path!r} is not one of the target's: give it from the first slash on, like /health."
            )
        if any(character <= " " or ord(character) > 126 for character in self.path):
            raise UsageError(f"Path {self.path!r} has a character that must be percent-encoded.")
        if self.method not in METHODS:
            raise UsageError(f"Method {self.method!r} is not known: take one of {', '.join(METHODS)}.")
        for name, value in self.headers:
            if not name or any(c in "\r\n\0: " for c in name) or any(c in "\r\n\0" for c in value):
                raise UsageError(f"Header {name!r} can't be sent: a name or value with a line end in it.")
            if not (name + value).isascii():
                raise UsageError(f"Header {name!r} can't be sent: only ASCII is possible.")
        if len(self.body) > BODY_LIMIT_BYTES:
            raise UsageError(f"The body for {self.path} is longer than {BODY_LIMIT_BYTES} bytes.")
        if not (math.isfinite(self.deadline_s) and self.deadline_s > 0):
            raise UsageError(f"A deadline of {self.deadline_s:g} s is not possible: it must be above 0.")

    def request(self, authority: str) -> bytes:
        """The bytes to send, made once for the whole run."""
        given = {name.lower() for name, _ in self.headers}
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        defaults = (
            ("Host", authority),
            ("User-Agent", "hokusai-validation"),
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
        )
        lines += [f"{name}: {value}" for name, value in defaults if name.lower() not in given]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + self.body


@dataclass(frozen=True)
class Timeouts:
    """Stages of a request beside its endpoint's deadline, which is for the whole."""

    connect_s: float = 5.0
    first_byte_s: float = 10.0


@dataclass(frozen=True)
class StopCondition:
    """When a run ends at once: share of errors, or p99, over the last second."""

    error_rate: float = 0.5
    p99_ms: float = 10_000.0


@dataclass(frozen=True)
class Open:
    """Arrivals by a schedule, whether or not earlier ones were answered."""

    schedule: Schedule


@dataclass(frozen=True)
class Closed:
    """Each connection asks, waits for the answer, thinks, and asks again: until `requests` were sent
    in all, or `duration_s` is over; at least one of the two."""

    requests: int | None = None
    duration_s: float | None = None
    think_s: float = 0.0
    join_s: float = 0.0  # the connections join one after the other over so long

    def __post_init__(self) -> None:
        if self.requests is None and self.duration_s is None:
            raise UsageError("A closed run needs a number of requests or a duration.")
        if self.requests is not None and self.requests < 1:
            raise UsageError(f"{self.requests} requests are no run: it must be at least 1.")
        if self.duration_s is not None and not (math.isfinite(self.duration_s) and self.duration_s > 0):
            raise UsageError(f"A duration of {self.duration_s:g} s is not possible: it must be above 0.")
        for name, value in (("think time", self.think_s), ("ramp-up", self.join_s)):
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"A {name} of {value:g} s is not possible: it must not be below 0.")


@dataclass(frozen=True)
class Plan:
    """One run. `connections` is the limit of requests in flight. `segments` are equal parts of an
    open run's judged time whose latencies are kept apart as well.
    `limit_s` ends any run, whatever its model says; `max_rate` is kept in any second, by a closed
    run too (its users then wait).

    Raises UsageError for a run that can't be done."""

    origin: Origin
    endpoints: tuple[Endpoint, ...]
    model: Open | Closed
    connections: int = 10
    timeouts: Timeouts = Timeouts()
    stop: StopCondition | None = None
    segments: int = 1
    answer_limit_bytes: int = ANSWER_LIMIT_BYTES
    limit_s: float = 3600.0
    max_rate: float | None = None
    reuse_answers: bool = True  # off: every answer goes through the parser, however alike they are

    def __post_init__(self) -> None:
        if not isinstance(self.model, Open | Closed):
            raise UsageError(f"The model {self.model!r} is not known: take Open or Closed.")
        self.order()
        if len({endpoint.name for endpoint in self.endpoints}) < len(self.endpoints):
            raise UsageError("Two endpoints have the same name; results are kept by name.")
        if not 1 <= self.connections <= MAX_CONNECTIONS:
            raise UsageError(f"{self.connections} connections are not possible: 1 to {MAX_CONNECTIONS} are.")
        if not 1 <= self.segments <= 60:
            raise UsageError(f"{self.segments} segments are not possible: 1 to 60 are.")
        if self.max_rate is not None and not self.max_rate > 0:
            raise UsageError(f"A rate limit of {self.max_rate:g}/s lets nothing through.")
        if not self.origin.addresses:
            raise UsageError(f"There is no address of {self.origin.host} to connect to.")

    def order(self) -> tuple[int, ...]:
        """Which endpoint request i asks, repeated over and over."""
        return cycle(tuple(endpoint.weight for endpoint in self.endpoints))

    @property
    def duration_s(self) -> float:
        """How long requests are sent at most."""
        if isinstance(self.model, Open):
            return min(self.model.schedule.duration_s, self.limit_s)
        return min(self.model.duration_s or self.limit_s, self.limit_s)

    @property
    def patience_s(self) -> float:
        """How long the last request may take after that."""
        return max(endpoint.deadline_s for endpoint in self.endpoints) + self.timeouts.connect_s
