"""What the machine itself shows of processes, for agents that run on it."""

import ipaddress
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil

LEAST_SHARE = 0.03
FULL_PERCENT = 95.0
CLOCK_S = 0.5  # creation times are counted in ticks since boot


def is_here(url: str) -> bool:
    """Whether an agent's address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def started_since(moment: float) -> Iterator[psutil.Process]:
    """Processes that were started after a moment (`time.time()`)."""
    for process in psutil.process_iter():
        try:
            if process.create_time() >= moment - CLOCK_S:
                yield process
        except psutil.Error:
            continue


def holds_memory(since: float, size_bytes: int, limit_s: float) -> int | None:
    """The pid of a process started since then that holds so much memory; None when none does in
    time."""
    deadline = time.monotonic() + limit_s
    while True:
        for process in started_since(since):
            try:
                if process.memory_info().rss >= size_bytes * 0.9:
                    return int(process.pid)
            except psutil.Error:
                continue
        if time.monotonic() > deadline:
            return None
        time.sleep(0.05)


def burns(since: float, share: float, limit_s: float) -> tuple[int, float] | None:
    """The pid of a process started since then that uses at least 60 % of that share of a CPU, and
    what it uses; None when none does in time. Where no CPU is left it can't get what it wants: then
    the one that uses most counts, from `LEAST_SHARE` on."""
    deadline = time.monotonic() + limit_s
    psutil.cpu_percent()  # begins its measurement
    before: dict[int, tuple[float, float]] = {}
    most: dict[int, float] = {}
    while time.monotonic() < deadline:
        for process in started_since(since):
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            used, now = times.user + times.system, time.monotonic()
            first_used, first = before.setdefault(process.pid, (used, now))
            if now - first >= 0.25:
                most[process.pid] = (used - first_used) / (now - first)
                if most[process.pid] >= share * 0.6:
                    return process.pid, most[process.pid]
        time.sleep(0.05)
    pid = max(most, key=lambda each: most[each], default=None)
    if pid is not None and most[pid] >= LEAST_SHARE and psutil.cpu_percent() >= FULL_PERCENT:
        return pid, most[pid]
    return None
