"""What the machine itself shows of processes, for agents that run on it."""

import ipaddress
import time
from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

import psutil

LEAST_SHARE = 0.03
FULL_PERCENT = 95.0


def is_here(url: str) -> bool:
    """Whether an agent's address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def present() -> frozenset[psutil.Process]:
    """The processes that there are."""
    return frozenset(psutil.process_iter())


def _others(before: Collection[psutil.Process]) -> Iterator[psutil.Process]:
    """Processes that were not there before. Not told by when they were started: the kernel counts that
    from a boot time in whole seconds."""
    return (process for process in psutil.process_iter() if process not in before)


def holds_memory(before: Collection[psutil.Process], size_bytes: int, limit_s: float) -> int | None:
    """The pid of a process that was not there before and holds so much memory; None when none does in
    time."""
    deadline = time.monotonic() + limit_s
    while True:
        for process in _others(before):
            try:
                if process.memory_info().rss >= size_bytes * 0.9:
                    return int(process.pid)
            except psutil.Error:
                continue
        if time.monotonic() > deadline:
            return None
        time.sleep(0.05)


def burns(before: Collection[psutil.Process], share: float, limit_s: float) -> tuple[int, float] | None:
    """The pid of a process that was not there before and uses at least 60 % of that share of a CPU, and
    what it uses; None when none does in time. Where no CPU is left it can't get what it wants: then
    the one that uses most counts, from `LEAST_SHARE` on."""
    deadline = time.monotonic() + limit_s
    psutil.cpu_percent()  # begins its measurement
    start: dict[int, tuple[float, float]] = {}
    most: dict[int, float] = {}
    while time.monotonic() < deadline:
        for process in _others(before):
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            used, now = times.user + times.system, time.monotonic()
            first_used, first = start.setdefault(process.pid, (used, now))
            if now - first >= 0.25:
                most[process.pid] = (used - first_used) / (now - first)
                if most[process.pid] >= share * 0.6:
                    return process.pid, most[process.pid]
        time.sleep(0.05)
    pid = max(most, key=lambda each: most[each], default=None)
    if pid is not None and most[pid] >= LEAST_SHARE and psutil.cpu_percent() >= FULL_PERCENT:
        return pid, most[pid]
    return None
