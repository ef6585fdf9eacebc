"""One process's part of a run: connections, time-outs, the flow of samples, the stop condition.

What the two models have in common; when requests become due is `models.py`'s.
"""

import asyncio
import errno
import itertools
import ssl
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from functools import cache

from hokusai_validation.load.connection import Connection
from hokusai_validation.load.outcome import Outcome, Second
from hokusai_validation.load.plan import Closed, Open, Plan
from hokusai_validation.load.recorder import Judged, Portion, Recorder
from hokusai_validation.load.stop import Watch

SWEEP_S = 0.02
FLUSH_S = 0.1
MAX_BACKLOG = 100_000
PREPARED = 64  # a TLS handshake in the middle of a run makes what is due then late

_clock = time.perf_counter


class Run(ABC):
    """Sends what its model says is due, over at most `limit` connections. `index` of `processes`
    tells which part of the whole is this one's; `on_second` is given every second that is over."""

    def __init__(self, plan: Plan, index: int, processes: int, on_second: Callable[[Second], None]) -> None:
        self.plan = plan
        self.index, self.processes = index, processes
        self.limit = max(1, plan.connections // processes + (index < plan.connections % processes))
        self.answer_limit_bytes = plan.answer_limit_bytes
        self.reuse_answers = plan.reuse_answers
        self.judged = Judged(segments=plan.segments if isinstance(plan.model, Open) else 1)
        self.recorders = [Recorder(endpoint, self.judged) for endpoint in plan.endpoints]
        self.requests = [endpoint.request(plan.origin.authority) for endpoint in plan.endpoints]
        self.order = plan.order()
        self.outcome = Outcome("open" if isinstance(plan.model, Open) else "closed")
        self.sending = False
        self.inline = False  # connections ask again by themselves, from within data_received
        self.start = 0.0
        self.free: list[Connection] = []
        self.live: set[Connection] = set()
        self.backlog: deque[tuple[float, int]] = deque()
        self._loop = asyncio.get_running_loop()
        self._addresses = itertools.cycle(plan.origin.addresses)
        self._connecting: set[asyncio.Task[None]] = set()
        self._ssl = _tls(plan.origin.ca_file) if plan.origin.scheme == "https" else None
        self._on_second = on_second
        self._second = Second(0)
        self._watch = Watch(plan.stop) if plan.stop is not None else None
        self._slow_s = plan.stop.p99_ms / 1000 if plan.stop is not None else float("inf")
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._flushed = self._swept = 0.0
        self._last_finished = 0.0

    # --- the model's part ---

    @abstractmethod
    def begin(self) -> None:
        """Send from `self.start` on; `self.sending` is true until there is nothing more to send."""

    @abstractmethod
    def finished(self, now: float, *, failed: bool) -> None:
        """A request came to its end."""

    def end_sending(self) -> None:
        """No request after this one."""
        self.sending = False

    # --- from outside ---

    async def prepare(self) -> None:
        """Open connections beforehand: a closed run's all, an open run's first ones (more come
        when they are needed). One that fails is left to the run itself, which will say how."""
        few = self.limit if isinstance(self.plan.model, Closed) else min(self.limit, PREPARED)
        for _ in range(few):
            self._connect()
        if self._connecting:
            await asyncio.wait(self._connecting, timeout=self.plan.timeouts.connect_s)

    async def execute(self, start: float) -> Outcome:
        """From `start` (seconds of the clock) to the last answer."""
        self.start = self._flushed = self._swept = start
        ramp_up_s = self.plan.model.schedule.ramp_up_s if isinstance(self.plan.model, Open) else 0.0
        self.judged.start = start + ramp_up_s
        self.judged.end = start + self.plan.duration_s
        used = time.process_time()
        began = _clock()
        self.sending = True
        self.begin()
        sweep = self._loop.call_later(SWEEP_S, self._sweep)
        try:
            await self._over
        finally:
            sweep.cancel()
            self.end_sending()
        self._flush(_clock())
        self._report(_clock(), last=True)
        outcome = self.outcome
        outcome.check.cpu_share = (time.process_time() - used) / max(1e-9, _clock() - began)
        outcome.elapsed_s = self._judged_s()
        for recorder in self.recorders:
            outcome.endpoints[recorder.endpoint.name] = recorder.outcome
        self._close()
        return outcome

    def stop(self, reason: str) -> None:
        """End at once: what is in flight is dropped and not counted."""
        if self._over.done():
            return
        self.outcome.stopped = reason
        self.end_sending()
        self.outcome.aborted = len(self.backlog) + sum(each.busy for each in self.live)
        self.backlog.clear()
        for connection in tuple(self.live):
            connection.abort()
        self._over.set_result(None)

    # --- requests ---

    def submit(self, intended: float, which: int) -> None:
        """Ask endpoint `which` now, or as soon as there is a connection for it."""
        while self.free:
            connection = self.free.pop()
            if connection.open:
                connection.send(which, self.recorders[which], self.requests[which], intended)
                return
        if len(self.backlog) >= MAX_BACKLOG:
            self.outcome.check.dropped += 1
            return
        self.backlog.append((intended, which))
        self._serve_backlog()
        if self.backlog and len(self._connecting) + len(self.live) >= self.limit:
            self.outcome.check.waited += 1

    def _serve_backlog(self) -> None:
        """What waits goes to connections that are free, else to new ones within the limit."""
        while self.backlog and self.free:
            connection = self.free.pop()
            if connection.open:
                self._ready(connection)
        room = self.limit - len(self.live) - len(self._connecting)
        for _ in range(min(room, len(self.backlog) - len(self._connecting))):
            self._connect()

    def _ready(self, connection: Connection) -> None:
        """A connection is free: for what waits longest, or for later."""
        if self.backlog:
            intended, which = self.backlog.popleft()
            connection.send(which, self.recorders[which], self.requests[which], intended)
        else:
            self.free.append(connection)

    # --- told by connections ---

    def answered(self, connection: Connection, now: float) -> None:
        """An answer is whole and recorded."""
        self._last_finished = now
        if connection.open:
            self._ready(connection)
        self.finished(now, failed=False)
        if not self.sending:
            self._end_if_idle()

    def failed(self, connection: Connection, kind: str, now: float) -> None:
        """A request failed; its connection is of no more use."""
        self._last_finished = now
        connection.recorder.failed(kind, connection.intended, connection.sent, now)
        connection.abort()
        self.finished(now, failed=True)

    def crossed(self, connection: Connection) -> None:
        """A request met the close of a connection that had been idle: it is sent again."""
        self.outcome.retried += 1
        self.backlog.appendleft((connection.intended, connection.which))

    def lost(self, connection: Connection, *, while_idle: bool) -> None:
        """A connection is gone; `while_idle`: the target closed it when nothing was asked."""
        if connection not in self.live:
            return  # it never came into use: `_open_connection` sees to it
        self.live.discard(connection)
        if connection in self.free:
            self.free.remove(connection)
        if while_idle:
            self.outcome.replaced += 1
        self._serve_backlog()
        if not self.sending:
            self._end_if_idle()

    # --- connecting ---

    def _connect(self) -> None:
        task = self._loop.create_task(self._open_connection())
        self._connecting.add(task)

    async def _open_connection(self) -> None:
        kind = ""
        origin = self.plan.origin
        try:
            async with asyncio.timeout(self.plan.timeouts.connect_s):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self),
                    next(self._addresses),
                    origin.port,
                    ssl=self._ssl,
                    server_hostname=origin.host if self._ssl is not None else None,
                )
        except (OSError, ValueError) as error:
            kind = connect_failure(error)
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._connecting.discard(task)
        if self._over.done():
            if not kind:
                connection.abort()
            return
        if not kind and not connection.open:
            kind = "reset"  # accepted, and closed before anything could be asked
        if kind:
            self._could_not_connect(kind)
            return
        self.outcome.connects += 1
        self.live.add(connection)
        self._ready(connection)

    def _could_not_connect(self, kind: str) -> None:
        if not self.backlog or self.start == 0.0:
            return  # nobody waits for it
        intended, which = self.backlog.popleft()
        now = self._last_finished = _clock()
        if kind == "no_files":
            self.outcome.check.dropped += 1  # our limit, not the target's
        else:
            self.recorders[which].failed(kind, intended, float("nan"), now)
        self.finished(now, failed=True)
        self._serve_backlog()
        if not self.sending:
            self._end_if_idle()

    # --- now and then ---

    def _sweep(self) -> None:
        """Fifty times a second: time-outs; ten times: samples, seconds, the stop condition."""
        if self._over.done():
            return
        now = _clock()
        self._time_out(now)
        if now - self._flushed >= FLUSH_S or now >= self.start + self._second.index + 1:
            overdue = self._flush(now)
            self._report(now)
            reason = self._watch.reason(overdue) if self._watch is not None else ""
            if reason:
                self.stop(reason)
                return
        if now > self.start + self.plan.duration_s + self.plan.patience_s + 1:
            self.stop("The run did not come to its end in time.")
            return
        if not self.sending:
            self._end_if_idle()
        if not self._over.done():
            # A look at thousands of connections costs milliseconds: then less often.
            self._loop.call_later(SWEEP_S if len(self.live) <= 500 else FLUSH_S, self._sweep)

    def _time_out(self, now: float) -> None:
        first_byte_s = self.plan.timeouts.first_byte_s
        for connection in tuple(self.live):
            if not connection.busy:
                continue
            waited = now - connection.sent
            limit = connection.recorder.endpoint.deadline_s
            if not connection.got_byte and waited > min(first_byte_s, limit):
                self.failed(connection, "timeout_first_byte", now)
            elif waited > limit:
                self.failed(connection, "timeout_whole", now)
        while self.backlog:
            intended, which = self.backlog[0]
            if now - intended <= self.plan.endpoints[which].deadline_s:
                break
            self.backlog.popleft()
            self._last_finished = now
            kind = "timeout_connect" if self._connecting else "timeout_queue"
            self.recorders[which].failed(kind, intended, float("nan"), now)
            self.finished(now, failed=True)

    def _flush(self, now: float) -> int:
        """Samples into histograms; how many requests in flight are already slower than the stop
        condition's p99."""
        self._flushed = now
        portion = Portion()
        for recorder in self.recorders:
            recorder.flush(self._second, portion, self._slow_s)
        self.outcome.ramp_up_requests += portion.ramp_up_requests
        self.outcome.ramp_up_errors += portion.ramp_up_errors
        self.flush_lags()
        if self._watch is None:
            return 0
        self._watch.add(now - self.start, portion.requests, portion.errors, portion.slow)
        limit = now - self._slow_s
        overdue = sum(each.busy and each.intended < limit for each in self.live)
        return overdue + sum(1 for _ in itertools.takewhile(lambda item: item[0] < limit, self.backlog))

    @abstractmethod
    def flush_lags(self) -> None:
        """Take in what the model knows of its own lateness."""

    def _report(self, now: float, *, last: bool = False) -> None:
        index = int(now - self.start)
        if (last and self._second.requests) or index > self._second.index:
            self._on_second(self._second)
            self._second = Second(max(index, self._second.index + 1))

    # --- the end ---

    def _end_if_idle(self) -> None:
        if self.start == 0.0 or self._over.done() or self.backlog or any(each.busy for each in self.live):
            return
        self._over.set_result(None)

    def _judged_s(self) -> float:
        """From the start of what counts to its scheduled end, or the last answer after it."""
        if isinstance(self.plan.model, Open) and not self.outcome.stopped:
            return max(1e-9, self.judged.end - self.judged.start)
        return max(1e-9, (self._last_finished or _clock()) - self.judged.start)

    def _close(self) -> None:
        for task in tuple(self._connecting):
            task.cancel()
        for connection in tuple(self.live):
            connection.abort()


@cache
def _tls(ca_file: str | None) -> ssl.SSLContext:
    """Certificates are always checked: against the system's CAs and the target's. Kept from run to
    run: reading the system's CAs takes tens of milliseconds."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def connect_failure(error: BaseException) -> str:
    """The kind of error that an attempt to connect ended with."""
    if isinstance(error, ssl.SSLError | ssl.CertificateError):
        return "tls"
    if isinstance(error, TimeoutError):
        return "timeout_connect"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ConnectionError):
        return "reset"
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL):
        return "no_files"
    return "unreachable"
