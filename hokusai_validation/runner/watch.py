"""Whether the parts were there while others were tested: each is asked something small every second, from the
phase's first test to its last. What is out for seconds is met by a test only by chance.

A process of its own asks, forked before the tests' processes, so that no thread of it is theirs. What is seen
while a fault of ours is on, or after one until the same question was answered well again, counts for nothing;
nor does what was asked while we stood still, nor that a breaker keeps calls back: that is of failures before."""

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, NoReturn

from pydantic import BaseModel, ConfigDict, ValidationError

from hokusai_validation.errors import HokusaiError
from hokusai_validation.observation import ErrorClass, Observation
from hokusai_validation.resources import own_faults, unknown_key
from hokusai_validation.resources.database import Database
from hokusai_validation.resources.http import SERVER_ERROR_FROM, HttpClient
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.places import Places
from hokusai_validation.resources.recorder import Recorder
from hokusai_validation.resources.recording import recording_thread
from hokusai_validation.resources.redis import Redis
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.runner.parentage import end_with
from hokusai_validation.runner.stall import StallWatch
from hokusai_validation.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

PERIOD_S = 1.0
# A question that got no answer is put again at once, with more time: a busy machine is no outage.
LIMIT_S, AGAIN_S = 1.5, 4.0
# What went out meanwhile is looked at for so long from then on: it may be a restart.
RETURN_S = 15.0
_POLL_S = 0.2
_WAITED = frozenset({ErrorClass.READ_TIMEOUT, ErrorClass.CONNECT_TIMEOUT})

Ask = Callable[[float], object]  # seconds that it may take


@dataclass(frozen=True)
class Look:
    """One question that is asked again and again."""

    ask: Ask
    close: Callable[[], object]


class Looked(BaseModel):
    """What one of them, by its number, came to, and when by the monotonic clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    look: int
    began_s: float
    ended_s: float
    observations: tuple[Observation, ...] = ()

    @property
    def well(self) -> bool:
        """Whether all was well."""
        return all(each.ok for each in self.observations)


def steady(
    looked: Iterable[Looked], ours: Sequence[tuple[float, float]], recovery_s: float
) -> Iterator[Looked]:
    """Those that no fault of ours can have spoilt. `ours`: from when to when one was on. Pure."""
    well_since: dict[int, float] = {}  # look -> the end of the fault after which it was well
    for each in sorted(looked, key=lambda one: one.began_s):
        if any(begin <= each.ended_s and each.began_s <= end for begin, end in ours):
            continue
        last = max((end for _, end in ours if end < each.began_s), default=None)
        if last is not None and well_since.get(each.look) != last:
            if each.well:
                well_since[each.look] = last
            elif each.began_s - last <= recovery_s:
                continue
        yield each


def lasting(looked: Iterable[Looked]) -> Iterator[Looked]:
    """Without what went wrong once, the same question being answered well a second before and after: a
    machine that is busy for a moment is no outage. In the order of asking. Pure."""
    by_look: dict[int, list[Looked]] = {}
    found = sorted(looked, key=lambda one: one.began_s)
    for each in found:
        by_look.setdefault(each.look, []).append(each)
    alone = {
        id(each)
        for asked in by_look.values()
        for before, each, after in zip((None, *asked), asked, (*asked[1:], None), strict=False)
        if not each.well and all(other is None or other.well for other in (before, after))
    }
    yield from (each for each in found if id(each) not in alone)


def out_since(looked: Iterable[Looked]) -> float | None:
    """When the newest of the outages began that last until now, by the monotonic clock; what was never well
    since the first look is no outage that began. Pure."""
    begun: dict[int, float] = {}
    well: set[int] = set()
    for each in sorted(looked, key=lambda one: one.began_s):
        if not any(map(is_out, each.observations)):
            well.add(each.look)
            begun.pop(each.look, None)
        elif each.look in well:
            begun.setdefault(each.look, each.began_s)
    return max(begun.values(), default=None)


def is_out(seen: Observation) -> bool:
    """Whether nothing of use came: a refusal is an answer, too."""
    return not seen.ok and (seen.status is None or seen.status >= SERVER_ERROR_FROM)


@dataclass
class Watch:
    """Of one suite process; `record` is the file that its lines are in."""

    recovery_s: float
    record: IO[bytes]
    pid: int
    seen: tuple[Observation, ...] | None = None
    told: bool = False  # in a row

    @classmethod
    def begin(cls, target: Target, secrets: Secrets, places: Places) -> "Watch":
        """Ask from now on what the target file tells the addresses of."""
        record = tempfile.TemporaryFile("ab+", buffering=0)  # noqa: SIM115 (it is closed by `end`)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _live(target, secrets, places, record, parent)
        return cls(target.limits.recovery_s, record, pid)

    def await_return(self) -> None:
        """Wait until what went out meanwhile is back, or was out for `RETURN_S` seconds."""
        while self.seen is None:
            ours = own_faults.times()
            since_s = out_since(steady(self._looked(), ours, self.recovery_s))
            if since_s is None or time.monotonic() - since_s >= RETURN_S:
                return
            time.sleep(_POLL_S)

    def end(self) -> tuple[Observation, ...]:
        """What counts of what was seen, in the order of asking. May be called again."""
        if self.seen is None:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)  # it holds nothing but connections
                os.waitpid(self.pid, 0)
            found = self._looked()
            self.record.close()
            kept = lasting(steady(found, own_faults.times(), self.recovery_s))
            self.seen = tuple(seen for each in kept for seen in each.observations)
        return self.seen

    def _looked(self) -> list[Looked]:
        # Its writer shares the file's offset.
        file = self.record.fileno()
        lines = os.pread(file, os.fstat(file).st_size, 0).split(b"\n")
        return [each for line in lines if (each := _read(line)) is not None]


def _read(line: bytes) -> Looked | None:
    """The last line is cut where its process was ended."""
    try:
        return Looked.model_validate_json(line)
    except ValidationError:
        return None


def _live(target: Target, secrets: Secrets, places: Places, record: IO[bytes], parent: int) -> NoReturn:
    """The life of the process that asks."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the tests' to act on
        end_with(parent)
        stalls = StallWatch()
        stalls.start()
        threads = [
            threading.Thread(target=_again_and_again, args=(number, look, places, record, stalls))
            for number, look in enumerate(_looks(target, secrets))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        os._exit(0)


def _again_and_again(number: int, look: Look, places: Places, record: IO[bytes], stalls: StallWatch) -> None:
    while True:
        began_s = time.monotonic()
        seen = _observed(look, places, LIMIT_S)
        if any(each.error_class in _WAITED for each in seen):
            seen = _observed(look, places, AGAIN_S)
        if not stalls.since(began_s):
            looked = Looked(look=number, began_s=began_s, ended_s=time.monotonic(), observations=seen)
            record.write(looked.model_dump_json(exclude_defaults=True).encode() + b"\n")
        time.sleep(max(0.0, PERIOD_S - (time.monotonic() - began_s)))


def _observed(look: Look, places: Places, limit_s: float) -> tuple[Observation, ...]:
    recorder = Recorder(places, watches=True)
    # A failure is recorded where it was asked.
    with recording_thread(recorder), contextlib.suppress(HokusaiError, OSError):
        look.ask(limit_s)
    return tuple(each for each in recorder.so_far() if each.error_class is not ErrorClass.BREAKER_OPEN)


def _looks(target: Target, secrets: Secrets) -> list[Look]:
    """Each part by its own address, and each way between parts that can be asked over."""
    resolver = Resolver(target.dns.resolver)
    found: list[Look] = []

    def http(base: str | None, *asked: Callable[[HttpClient, float], object]) -> None:
        for ask in asked if base else ():
            client = HttpClient(base or "", tls=target.tls, resolver=resolver)
            found.append(Look(partial(ask, client), client.close))

    doors = [each.url for each in target.instances] or ([target.url] if target.url else [])
    for door in doors:
        http(door, _path("/health?detailed=true"), _unknown_key)
    if target.instances:
        http(target.url, _path("/live"))
    http(target.endpoints.auth, _path("/health"))
    http(target.auth.url if target.auth else None, _path("/health"))
    http(
        target.mlflow.url if target.mlflow else None,
        _path("/api/2.0/mlflow/experiments/search?max_results=1"),
        _path("/api/2.0/mlflow-artifacts/artifacts?path="),
    )
    if target.database is not None:
        session = _Session(target, secrets)
        found.append(Look(session.ask, session.close))
    if target.redis is not None:
        redis = Redis.from_target(target, secrets)
        found.append(Look(lambda limit_s: redis.ping(), redis.close))
    return found


def _path(path: str) -> Callable[[HttpClient, float], object]:
    return lambda client, limit_s: client.get(path, timeout_s=limit_s)


def _unknown_key(client: HttpClient, limit_s: float) -> object:
    return unknown_key.ask(client, timeout_s=limit_s)


class _Session:
    """One kept session of the database: a watch that opened one each second would be counted by tests that
    count them."""

    def __init__(self, target: Target, secrets: Secrets) -> None:
        self._target, self._secrets = target, secrets
        self._database: Database | None = None
        self._connection: Connection | None = None

    def ask(self, limit_s: float) -> None:
        """Raises the leaves of RequestFailed."""
        if self._database is None:
            self._database = Database.from_target(self._target, self._secrets)
        if self._connection is None:
            self._connection = self._database.connect(connect_timeout_s=limit_s)
        try:
            self._database.rows(self._connection, "SELECT 1", limit_s=limit_s)
        except HokusaiError:
            self.close()
            raise

    def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
            self._connection = None
