"""One process of the stack: start, stop, kill, pause, measure; and it dies with its parent.

Every process leads a session of its own, so that a terminal's Ctrl-C reaches only the supervisor,
which ends the others in order.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from hokusai_validation.descent import die_with_parent


def descendants(pid: int) -> list[int]:
    """The processes below `pid`, parents before their children."""
    found: list[int] = []
    waiting = [pid]
    try:
        while waiting:
            children = _children(waiting.pop())
            found += children
            waiting += children
    except NotImplementedError:
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return found


def direct_children(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    try:
        return _children(pid)
    except NotImplementedError:
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children()]
    return []


def _children(pid: int) -> list[int]:
    """As the kernel lists them, for looking through every process of the machine takes long.

    Raises NotImplementedError where the kernel has no such list."""
    children: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    for thread in threads:
        path = f"/proc/{pid}/task/{thread}"
        try:
            with open(f"{path}/children", encoding="ascii") as file:
                children += [int(item) for item in file.read().split()]
        except FileNotFoundError:
            if os.path.exists(path):
                raise NotImplementedError from None
        except OSError:
            continue
    return children


def send(pid: int, signal_number: int) -> None:
    """Send a signal; a process that is gone is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal_number)


@dataclass(frozen=True)
class Service:
    """How a process is started. `ready` answers whether it serves, and never waits long; `user`
    is a uid for a supervisor that is root; `stop_signal` ends it in order. The first start waits
    for those in `after`: not because they are needed, but so that what takes longest has a
    processor to itself."""

    name: str
    component: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    address: str
    ready: Callable[[], Awaitable[bool]] = field(repr=False)
    stdin: bytes | None = field(default=None, repr=False)
    user: int | None = None
    stop_signal: int = signal.SIGTERM
    limit_s: float = 30.0
    after: tuple[str, ...] = ()


class Process:
    """A running (or dead) instance of a Service."""

    def __init__(self, service: Service, log: Path) -> None:
        self.service = service
        self.log = log
        self.pid: int | None = None
        self.started_at: float | None = None
        self.restarts = -1
        self.paused = False

    def start(self) -> None:
        """Start it. Must be called from the main thread (see `die_with_parent`)."""
        service = self.service
        user: dict[str, object] = {}
        if service.user is not None:
            user = {"user": service.user, "group": service.user, "extra_groups": []}
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                service.command,
                stdin=subprocess.DEVNULL if service.stdin is None else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(service.environment),
                cwd="/",
                start_new_session=True,
                preexec_fn=die_with_parent,
                **user,  # type: ignore[call-overload]
            )
        if child.stdin is not None and service.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(service.stdin)
                child.stdin.close()
        self.pid = child.pid
        self.started_at = time.time()
        self.restarts += 1
        self.paused = False
        child.returncode = 0  # the supervisor reaps; Popen must not

    def ended(self) -> None:
        """The supervisor saw it die."""
        self.pid = None
        self.paused = False

    @property
    def tree(self) -> list[int]:
        """The process and all below it."""
        return [] if self.pid is None else [self.pid, *descendants(self.pid)]

    def kill(self) -> None:
        """SIGKILL to it and all below it, at once; stopped ones die too."""
        for pid in self.tree:
            send(pid, signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end in order."""
        if self.paused:
            self.resume()
        if self.pid is not None:
            send(self.pid, self.service.stop_signal)

    def pause(self) -> None:
        """SIGSTOP to it and all below it. The parent first, so that it starts no new ones."""
        self.paused = True
        for pid in self.tree:
            send(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to it and all below it."""
        self.paused = False
        for pid in self.tree:
            send(pid, signal.SIGCONT)

    @property
    def state(self) -> str:
        """`running`, `paused` or `down`."""
        if self.pid is None:
            return "down"
        return "paused" if self.paused else "running"

    def measured(self) -> tuple[int, float]:
        """Resident memory in bytes and processor time in seconds, of it and all below it."""
        rss = 0
        cpu = 0.0
        for pid in self.tree:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                with process.oneshot():
                    rss += process.memory_info().rss
                    times = process.cpu_times()
                    cpu += times.user + times.system
        return rss, cpu

    def last_lines(self, count: int = 5) -> list[str]:
        """The end of its log, for a message."""
        try:
            with self.log.open("rb") as handle:
                handle.seek(0, os.SEEK_END)
                handle.seek(max(0, handle.tell() - 8192))
                text = handle.read().decode("utf-8", errors="replace")
        except OSError:
            return []
        return [line.strip()[:300] for line in text.splitlines() if line.strip()][-count:]
