"""A user who never stops asking: probes at a constant rate, whatever is being done to the target.

A good probe of a route is `/live` and, where the route carries a key, an authenticated request that
needs no MLflow, each right and within its deadline, counted from when the probe was due.
Availability is good probes / probes due.
"""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hokusai_validation.errors import NoSteadyState, RequestFailed
from hokusai_validation.resources.http import Answer, HttpClient

RATE_PER_S = 10.0
DEADLINE_S = 1.0
LIVE = "/live"
AUTHENTICATED = "/"
# Asked of our own machine, not of the target: a probe sent this late says nothing of it.
LATE_S = 0.5
# A process that does nothing but answer does so at once, on a busy machine too.
PROMPT_S = 0.25
SILENT_SHARE = 0.25
LEAST_TO_JUDGE = 5
MOST_LATE = 0.2


@dataclass(frozen=True)
class Route:
    """A way to the target: the load balancer, or one instance. `authenticated`: with the request
    that needs a key."""

    name: str
    client: HttpClient
    authenticated: bool


@dataclass
class Shot:
    """One probe. `due_at` is `time.monotonic()`; a problem is empty where the answer was right and
    in time; times in ms from when it was due."""

    route: str
    due_at: float
    late_s: float = 0.0
    live_ms: float | None = None
    live_problem: str | None = None
    key_problem: str | None = ""

    @property
    def ended(self) -> bool:
        """Whether every answer is in."""
        return self.live_problem is not None and self.key_problem is not None

    @property
    def good(self) -> bool:
        """Right and in time; one that is still waiting is not."""
        return self.live_problem == "" and self.key_problem == ""


@dataclass
class Floor:
    """Under which availability of the last `window_s` an experiment ends at once."""

    share: float
    window_s: float = 3.0
    least_shots: int = 20
    since: float | None = None  # judged only from here on: a fault is on


class Probe:
    """Asks every route at the same rate, from threads of its own, between `start` and `stop`."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        rate_per_s: float = RATE_PER_S,
        deadline_s: float = DEADLINE_S,
        floor: Floor | None = None,
        on_low: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.routes = tuple(routes)
        self.shots: list[Shot] = []
        self.floor = floor
        self.deadline_s = deadline_s
        self._interval_s = 1 / rate_per_s
        self._on_low = on_low
        self._expected: dict[str, int] = {}  # the status of an authenticated request on a good day
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        # Enough that a probe which hangs for its whole deadline never delays another.
        calls = sum(2 if route.authenticated else 1 for route in routes)
        self._pool = ThreadPoolExecutor(max_workers=max(2, int(calls * (deadline_s * 2 + 1) * rate_per_s)))

    def start(self) -> None:
        """Learn how an authenticated request is answered, and begin.

        Raises NoSteadyState where it is refused or fails: nothing could be told from it."""
        for route in self.routes:
            if route.authenticated:
                self._expected[route.name] = self._learn(route)
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the answers that are still out."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._pool.shutdown(wait=True)  # each probe ends by its deadline

    def between(self, route: str, start: float, end: float) -> list[Shot]:
        """The probes of a route that were due then."""
        return [shot for shot in tuple(self.shots) if shot.route == route and start <= shot.due_at < end]

    @property
    def too_late(self) -> bool:
        """Whether this machine was too busy to probe: then nothing can be told of the target."""
        shots = tuple(self.shots)
        return bool(shots) and sum(shot.late_s > LATE_S for shot in shots) / len(shots) > MOST_LATE

    def _learn(self, route: Route) -> int:
        try:
            answer = route.client.get(AUTHENTICATED, key=True, timeout_s=self.deadline_s * 2)
        except RequestFailed as error:
            raise NoSteadyState(f"an authenticated request by {route.name} fails: {error}") from None
        if answer.status >= 500 or answer.status in (401, 403, 429):
            raise NoSteadyState(f"an authenticated request by {route.name} is answered {answer.status}")
        return answer.status

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            for route in self.routes:
                shot = Shot(route.name, due, key_problem=None if route.authenticated else "")
                self.shots.append(shot)
                with contextlib.suppress(RuntimeError):  # the pool was shut down meanwhile
                    self._pool.submit(self._live, route, shot)
                    if route.authenticated:
                        self._pool.submit(self._authenticated, route, shot)
            self._watch_floor()
            due += self._interval_s

    def _live(self, route: Route, shot: Shot) -> None:
        shot.late_s = time.monotonic() - shot.due_at

        def wrong(answer: Answer) -> str:
            try:
                alive = answer.status == 200 and answer.json().get("alive") is True
            except (RequestFailed, AttributeError):
                alive = False
            return "" if alive else f"{LIVE} answered {answer.status}"

        problem, took_ms = self._ask(route, shot, LIVE, False, wrong)
        shot.live_ms = took_ms
        shot.live_problem = problem

    def _authenticated(self, route: Route, shot: Shot) -> None:
        expected = self._expected[route.name]

        def wrong(answer: Answer) -> str:
            return (
                "" if answer.status == expected else f"an authenticated request was answered {answer.status}"
            )

        shot.key_problem, _ = self._ask(route, shot, AUTHENTICATED, True, wrong)

    def _ask(
        self, route: Route, shot: Shot, path: str, key: bool, wrong: Callable[[Answer], str]
    ) -> tuple[str, float | None]:
        left_s = shot.due_at + self.deadline_s - time.monotonic()
        if left_s <= 0:
            return "not sent in time", None
        try:
            answer = route.client.get(path, key=key, timeout_s=left_s)
        except RequestFailed as error:
            return type(error).__name__, None
        took_ms = (time.monotonic() - shot.due_at) * 1000
        if took_ms > self.deadline_s * 1000:
            return f"{path} answered after {took_ms:.0f} ms", took_ms
        return wrong(answer), took_ms

    def _watch_floor(self) -> None:
        floor = self.floor
        if floor is None or floor.since is None or not self.routes:
            return
        now = time.monotonic()
        # Those that may still be answered in time are not judged yet.
        begin, end = max(floor.since, now - self.deadline_s - floor.window_s), now - self.deadline_s
        shots = self.between(self.routes[0].name, begin, end)
        if len(shots) >= floor.least_shots:
            share = sum(shot.good for shot in shots) / len(shots)
            if share < floor.share:
                floor.since = None
                self._on_low(share)


def availability(shots: Sequence[Shot]) -> float | None:
    """Good / due; None where none was due."""
    return sum(shot.good for shot in shots) / len(shots) if shots else None


def percentile_ms(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of them don't exceed; None without any."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


@dataclass(frozen=True)
class Silence:
    """How a route's `/live` went: probes due, how many were not answered within `PROMPT_S`, and the
    longest time (s) that one of them waited (the deadline, where no answer came)."""

    due: int
    unanswered: int
    longest_s: float

    @property
    def blocked(self) -> bool:
        """Whether `/live` stopped answering; single slow answers are the machine's."""
        return self.due >= LEAST_TO_JUDGE and self.unanswered / self.due > SILENT_SHARE


def silence(shots: Sequence[Shot]) -> Silence:
    """Of probes of one route whose answers are in."""
    waits = [shot.live_ms / 1000 if shot.live_ms is not None else DEADLINE_S for shot in shots if shot.ended]
    slow = [wait for wait in waits if wait > PROMPT_S]
    return Silence(len(waits), len(slow), max(slow, default=0.0))
