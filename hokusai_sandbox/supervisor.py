"""Starts the stack, keeps it up as ECS would, and ends it: one event loop in the main thread.

Our own, because faults are its business: it stops, kills and starts parts at a word, and tells ECS' events of it.
Everything is forked from the main thread, because the kernel's parent-death signal follows the
thread that forked.
"""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from hokusai_sandbox.certificates import Certificates
from hokusai_sandbox.plan import HOSTS, Plan
from hokusai_sandbox.process import Process, Service, direct_children, send
from hokusai_sandbox.webclient import fetch, fetch_json
from hokusai_validation.errors import StackDidNotStart

POLL_S = 0.03
START_LIMIT_S = 90.0
STOP_LIMIT_S = 5.0
LIVED_S = 2.0  # a process that lived shorter is started again with growing waits
LONGEST_WAIT_S = 5.0


class Supervisor:
    """The processes of one sandbox."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.processes: dict[str, Process] = {}
        self.certificates: Certificates | None = None
        self.stopping = False
        self.helpers: set[int] = set()  # stressors: ours, not services
        self._held_until: dict[str, float] = {}
        self._asked_for: set[str] = set()  # killed by word: ECS shows no new task for it
        self._quick_deaths: dict[str, int] = {}
        self._ready: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._died: str | None = None
        self._starting = True
        self._timings: dict[str, float] = {}
        self._started_at = time.monotonic()

    # --- start

    def manage(self, services: dict[str, Service], certificates: Certificates) -> None:
        """Look after these from now on. `certificates` are the balancer's."""
        self.certificates = certificates
        self.processes = {name: Process(item, self.plan.log(name)) for name, item in services.items()}
        self._ready = {name: asyncio.Event() for name in services}
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    def launch(self, name: str) -> None:
        """Start one process."""
        self._ready[name].clear()
        self.processes[name].start()
        self.later(self._wait_ready(name))

    async def up(self, on_ready: Callable[[str], None] = lambda _: None) -> None:
        """Start those that wait for others, and wait until every process is ready.

        Raises StackDidNotStart."""
        limit = time.monotonic() + START_LIMIT_S
        waiting = set(self.processes)
        while waiting:
            if self._died is not None:
                raise StackDidNotStart(self._explain(self._died, "ended before it was ready"))
            for name in [name for name in waiting if self._ready[name].is_set()]:
                waiting.discard(name)
                on_ready(name)
            for name in waiting:
                process = self.processes[name]
                blocked = [item for item in process.service.after if item in waiting]
                if process.started_at is None and process.service.after and not blocked:
                    self.launch(name)
            late = [name for name in sorted(waiting) if self._late(name)]
            if late or time.monotonic() > limit:
                name = (late or sorted(waiting))[0]
                raise StackDidNotStart(self._explain(name, "was not ready in time"))
            await asyncio.sleep(POLL_S)
        self._starting = False

    async def healthy(self, limit_s: float, *, needed: bool = True) -> dict[str, object]:
        """The first `/health` through the balancer that says healthy; the last one otherwise.

        Raises StackDidNotStart when there was no answer at all, and one is `needed`."""
        context = ssl.create_default_context(
            cadata=self.certificates.authority if self.certificates else None
        )
        deadline = time.monotonic() + limit_s
        last: dict[str, object] = {}
        reason = "no answer"
        while time.monotonic() < deadline:
            try:
                last = await fetch_json(
                    self.plan.address("balancer-https"), "/health", tls=context, server_name=HOSTS["registry"]
                )
                if last.get("status") == "healthy":
                    break
                reason = f"it says {last.get('status')}: {json.dumps(last.get('services'))}"
            except (OSError, TimeoutError, ValueError) as error:
                reason = str(error) or type(error).__name__
            await asyncio.sleep(POLL_S)
        if not last and needed:
            raise StackDidNotStart(
                f"The sandbox's /health did not answer through the balancer within {limit_s:g} s"
                f" ({reason}): see the logs in {self.plan.logs}."
            )
        return last

    def _late(self, name: str) -> bool:
        process = self.processes[name]
        return process.started_at is not None and time.time() > process.started_at + process.service.limit_s

    def _explain(self, name: str, what: str) -> str:
        process = self.processes[name]
        lines = " | ".join(process.last_lines()) or "its log is empty"
        return f"The sandbox's {name} {what}: {lines}. Its whole log is {process.log}."

    async def _wait_ready(self, name: str) -> None:
        process = self.processes[name]
        pid = process.pid
        limit = time.monotonic() + process.service.limit_s
        while process.pid == pid and time.monotonic() < limit:
            with contextlib.suppress(Exception):
                if await process.service.ready():
                    if process.pid == pid:
                        self._ready[name].set()
                        self._timings.setdefault(name, time.monotonic() - self._started_at)
                        self._tell_aws(name, "running", replaced=name not in self._asked_for)
                        self._asked_for.discard(name)
                    return
            await asyncio.sleep(POLL_S)

    @property
    def timings(self) -> dict[str, float]:
        """Seconds from the supervisor's start until each was ready first."""
        return {name: round(value, 3) for name, value in sorted(self._timings.items(), key=lambda i: i[1])}

    def is_ready(self, name: str) -> bool:
        """Whether it serves."""
        return self._ready[name].is_set()

    # --- while it runs

    def kill(self, name: str, *, down_s: float = 0.0) -> None:
        """SIGKILL; started again after `down_s`."""
        process = self.processes[name]
        self._hold(name, down_s)
        if process.pid is not None:
            self._asked_for.add(name)
            process.kill()

    def restart(self, name: str) -> None:
        """End in order and start again at once."""
        process = self.processes[name]
        if process.pid is None:
            self._hold(name, 0.0)
            return
        self._asked_for.add(name)
        process.stop()
        pid = process.pid

        async def insist() -> None:
            await asyncio.sleep(STOP_LIMIT_S)
            if process.pid == pid:
                process.kill()

        self.later(insist())

    def release(self, name: str) -> None:
        """Start one again that is kept away."""
        self._hold(name, 0.0)

    async def take_in(self, service: Service) -> None:
        """Start one more process and wait until it is ready; it is looked after like the others.

        Raises StackDidNotStart."""
        name = service.name
        self.processes[name] = Process(service, self.plan.log(name))
        self._ready[name] = asyncio.Event()
        self.launch(name)
        try:
            async with asyncio.timeout(service.limit_s):
                await self._ready[name].wait()
        except TimeoutError:
            raise StackDidNotStart(self._explain(name, "was not ready in time")) from None

    def take_out(self, name: str) -> None:
        """End one that was taken in."""
        process = self.processes.pop(name)
        process.kill()

    def _hold(self, name: str, seconds: float) -> None:
        self._held_until[name] = time.monotonic() + seconds
        if self.processes[name].pid is None:
            self.later(self._start_again(name))

    def _reap(self) -> None:
        by_pid = {process.pid: name for name, process in self.processes.items() if process.pid}
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.helpers.discard(pid)
            name = by_pid.get(pid)
            if name is not None:
                self._ended(name)

    def _ended(self, name: str) -> None:
        process = self.processes[name]
        lived_s = time.time() - (process.started_at or 0.0)
        was_ready = self._ready[name].is_set()
        process.ended()
        self._ready[name].clear()
        self._end_orphans()
        if self.stopping:
            return
        if self._starting and not was_ready and name not in self._asked_for:
            self._died = self._died or name
            return
        self._tell_aws(name, "down")
        quick = lived_s < LIVED_S and name not in self._asked_for
        self._quick_deaths[name] = self._quick_deaths.get(name, 0) + 1 if quick else 0
        wait_s = min(LONGEST_WAIT_S, 0.25 * 2 ** (self._quick_deaths[name] - 1)) if quick else 0.0
        self._held_until[name] = max(self._held_until.get(name, 0.0), time.monotonic() + wait_s)
        self.later(self._start_again(name))

    def _end_orphans(self) -> None:
        """What a dead service left behind (PostgreSQL's backends) is ours now; it must be gone
        before the service starts again."""
        known = {process.pid for process in self.processes.values()} | self.helpers
        for pid in direct_children(os.getpid()):
            if pid not in known:
                send(pid, signal.SIGKILL)

    async def _start_again(self, name: str) -> None:
        process = self.processes.get(name)
        if process is None:  # taken out meanwhile
            return
        while (left_s := self._held_until.get(name, 0.0) - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left_s, 0.5))
        await asyncio.sleep(0.02)
        if process.pid is None and not self.stopping:
            self._end_orphans()
            self.launch(name)

    def _tell_aws(self, name: str, state: str, *, replaced: bool = False) -> None:
        process = self.processes[name]
        if "aws" not in self.processes or name == "aws":
            return
        body = {
            "component": process.service.component,
            "process": name,
            "state": state,
            "replaced": replaced and process.restarts > 0,
        }
        self.later(self._aws_told(json.dumps(body).encode()))

    async def _aws_told(self, body: bytes) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            await self.aws("POST", "/_sandbox/process", body)

    async def aws(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """A call of the AWS process's own interface.

        Raises OSError, TimeoutError, ValueError."""
        token = self.plan.secrets.control_token
        headers = {"Authorization": f"Bearer {token}"}
        return await fetch(
            self.plan.address("aws"), path, method=method, headers=headers, body=body, timeout_s=5.0
        )

    def later(self, work: Awaitable[None]) -> None:
        """Do this beside everything else; it ends with the supervisor."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- end

    async def stop(self) -> None:
        """End every process in order: what faces clients first, what holds data last."""
        self.stopping = True
        for task in list(self._tasks):
            task.cancel()
        for pid in list(self.helpers):
            send(pid, signal.SIGKILL)
        last: list[str] = [name for name in ("links", "postgres", "redis", "aws") if name in self.processes]
        first = [name for name in self.processes if name not in last]
        for group in (first, last):
            for name in group:
                self.processes[name].stop()
            await self._gone(group)

    async def _gone(self, names: list[str]) -> None:
        deadline = time.monotonic() + STOP_LIMIT_S / 2
        while any(self.processes[name].pid for name in names):
            if time.monotonic() > deadline:
                for name in names:
                    self.processes[name].kill()
                deadline = time.monotonic() + STOP_LIMIT_S
            await asyncio.sleep(0.01)


def write_json(path: Path, value: object) -> None:
    """Whole or not at all."""
    making = path.with_suffix(".making")
    making.write_text(json.dumps(value, indent=1, default=str) + "\n", encoding="utf-8")
    making.replace(path)
