"""What else goes on while load runs, looked at once a second: breakers, pools, connections, memory.

Names end in their unit, as the report's pictures expect: `_percent` (of a core), `_mb`,
`_connections`, `_triggers`. A sampler that fails leaves a gap and a note; it never fails a test.
"""

import math
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from hokusai_validation.errors import HokusaiError
from hokusai_validation.resources.control import ControlClient
from hokusai_validation.resources.database import Database
from hokusai_validation.resources.http import HttpClient

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

INTERVAL_S = 1.0
LIMIT_S = 1.0
BREAKER = "mlflow_circuit_breaker_state"
OPEN = 2.0
_MB = 1e6


class Sampler(Protocol):
    """Looks once; numbers by name. May raise HokusaiError."""

    def sample(self) -> Mapping[str, float]:
        """One look."""

    def close(self) -> None:
        """Give back what is kept between looks."""


class MetricsSampler:
    """`/metrics` of one instance: how often its breaker opened since the first look (as its own
    counter says, or as often as we saw it), and its pool's connections in use."""

    def __init__(self, name: str, client: HttpClient) -> None:
        self._name = name
        self._client = client
        self._state: float | None = None
        self._seen_open = 0
        self._counted_before: float | None = None

    def sample(self) -> Mapping[str, float]:
        """One look. Raises the leaves of RequestFailed."""
        from prometheus_client.parser import text_string_to_metric_families

        text = self._client.get("/metrics", timeout_s=LIMIT_S).text
        values: dict[str, float] = {}
        try:
            for family in text_string_to_metric_families(text):
                for item in family.samples:
                    values[item.name] = values.get(item.name, 0.0) + item.value
        except ValueError:
            return {}  # the JSON of a service without a Prometheus client has none of this
        return self.read(values)

    def read(self, values: Mapping[str, float]) -> dict[str, float]:
        """The numbers of one look from all of `/metrics`, its values summed over labels."""
        found = {}
        state = values.get(BREAKER)
        if state is not None:
            if state == OPEN and self._state not in (OPEN, None):
                self._seen_open += 1
            self._state = state
            triggers = float(self._seen_open)
            counted = _first(
                values, "breaker", ("opened_total", "open_total", "trips_total", "triggers_total")
            )
            if counted is not None:
                if self._counted_before is None or counted < self._counted_before:
                    self._counted_before = counted  # the first look, or a process that was started anew
                triggers = counted - self._counted_before
            found[f"{self._name}_breaker_triggers"] = triggers
        in_use = _first(values, "pool", ("in_use", "checked_out", "checkedout"))
        if in_use is not None:
            found[f"{self._name}_pool_connections"] = in_use
        return found

    def close(self) -> None:
        """Count anew; the client is its owner's."""
        self._state = self._counted_before = None
        self._seen_open = 0


def _first(values: Mapping[str, float], part: str, ends: tuple[str, ...]) -> float | None:
    names = [name for name in sorted(values) if part in name and name.endswith(ends)]
    return values[names[0]] if names else None


class ProcessSampler:
    """CPU and memory of every process of the stack, from its control agent."""

    def __init__(self, control: ControlClient) -> None:
        self._control = control
        self._before: dict[str, tuple[int | None, float, float]] = {}

    def sample(self) -> Mapping[str, float]:
        """One look. Raises AgentFailed."""
        found: dict[str, float] = {}
        now = time.perf_counter()
        for process in self._control.processes():
            found[f"{process.name}_rss_mb"] = round(process.rss_bytes / _MB, 2)
            pid, at, cpu_s = self._before.get(process.name, (None, now, 0.0))
            if pid == process.pid and now > at:
                share = (process.cpu_s - cpu_s) / (now - at)
                found[f"{process.name}_cpu_percent"] = round(max(0.0, share * 100), 1)
            self._before[process.name] = (process.pid, now, process.cpu_s)
        return found

    def close(self) -> None:
        """Begin anew; the client is its owner's."""
        self._before.clear()


class DatabaseSampler:
    """Connections that PostgreSQL holds, to our database and to all, over one kept session."""

    STATEMENT = (
        "select count(*), count(*) filter (where datname = current_database())"
        " from pg_stat_activity where backend_type = 'client backend'"
    )

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session: Connection | None = None

    def sample(self) -> Mapping[str, float]:
        """One look. Raises the leaves of RequestFailed."""
        try:
            if self._session is None:
                self._session = self._database.connect(connect_timeout_s=LIMIT_S, statement_timeout_s=LIMIT_S)
            ((everywhere, ours),) = self._database.rows(self._session, self.STATEMENT, limit_s=2 * LIMIT_S)
        except HokusaiError:
            self.close()
            raise
        return {
            "postgres_server_connections": float(everywhere),
            "postgres_database_connections": float(ours),
        }

    def close(self) -> None:
        """End the session."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(Exception):
                session.close()


class Watch:
    """Runs samplers beside a load run, each in a thread of its own, once a second.

    with Watch(samplers) as watch:
        outcome = engine.run(plan)
    watch.seconds(outcome_started)
    """

    def __init__(self, samplers: Sequence[Sampler], *, interval_s: float = INTERVAL_S) -> None:
        self.notes: list[str] = []
        self._interval_s = interval_s
        self._looks: list[tuple[float, Mapping[str, float]]] = []
        self._samplers = tuple(samplers)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        """Begin, and forget what an earlier use saw."""
        self._looks, self.notes = [], []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(sampler, self._over), daemon=True)
            for sampler in self._samplers
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _repeat(self, sampler: Sampler, over: threading.Event) -> None:
        while True:
            began = time.perf_counter()
            try:
                self._looks.append((began, sampler.sample()))
            except HokusaiError as error:
                self._note(f"{type(sampler).__name__}: {error}")
            except Exception as error:  # a picture is not worth a test
                self._note(f"{type(sampler).__name__}: {type(error).__name__}: {error}")
            if over.wait(max(0.0, self._interval_s - (time.perf_counter() - began))):
                sampler.close()
                return

    def _note(self, note: str) -> None:
        if note not in self.notes and len(self.notes) < 10:
            self.notes.append(note)

    def looks(self, name: str) -> tuple[tuple[float, float], ...]:
        """Every value of one name with its time, in seconds of `time.perf_counter()`."""
        return tuple((at, values[name]) for at, values in sorted(self._looks, key=_time) if name in values)

    def seconds(self, start: float) -> list[dict[str, float]]:
        """One entry a second from `start` (of `time.perf_counter()`) on, the last value counting;
        `t_s` is the second."""
        entries: dict[int, dict[str, float]] = {}
        for at, values in sorted(self._looks, key=_time):
            second = math.floor(at - start)
            if second >= 0:
                entries.setdefault(second, {"t_s": float(second)}).update(values)
        return [entries[second] for second in sorted(entries)]


def _time(look: tuple[float, Mapping[str, float]]) -> float:
    return look[0]
