"""Processes that use up memory or processor time beside the services."""

import os
import signal
import subprocess

import psutil

from hokusai_sandbox.process import send
from hokusai_sandbox.supervisor import Supervisor
from hokusai_validation.descent import die_with_parent

MAX_BALLAST_BYTES = 2 * 1024**3

_STRESS_MEMORY = """
import sys, time
size = int(sys.argv[1])
held = bytearray(size)
for offset in range(0, size, 4096):
    held[offset] = 1
while True:
    time.sleep(3600)
"""

_CPU = """
import sys, time
share = float(sys.argv[1])
period = 0.02
while True:
    end = time.perf_counter() + period * share
    while time.perf_counter() < end:
        pass
    if share < 1:
        time.sleep(period * (1 - share))
"""


class Stressors:
    """At most one of each kind for a service; they die with the supervisor."""

    def __init__(self, supervisor: Supervisor, python: str) -> None:
        self._supervisor = supervisor
        self._python = python
        self._running: dict[tuple[str, str], list[int]] = {}

    def stress_memory(self, name: str, size_bytes: int) -> None:
        """Hold so much memory; 0 ends it.

        Raises ValueError when that is more than half of what is free, or than 2 GiB."""
        allowed = min(MAX_BALLAST_BYTES, psutil.virtual_memory().available // 2)
        if not 0 <= size_bytes <= allowed:
            raise ValueError(f"stress_memory is 0 to {allowed} bytes here, not {size_bytes}")
        self._end("stress_memory", name)
        if size_bytes:
            self._start("stress_memory", name, _STRESS_MEMORY, str(size_bytes), count=1)

    def cpu(self, name: str, share: float) -> None:
        """Use this share of every processor that the sandbox may run on; 0 ends it.

        Raises ValueError."""
        if not 0 <= share <= 1:
            raise ValueError(f"a share is 0 to 1, not {share}")
        self._end("cpu", name)
        if share:
            self._start("cpu", name, _CPU, str(share), count=len(os.sched_getaffinity(0)))

    def end_all(self) -> None:
        """End every stressor."""
        for kind, name in list(self._running):
            self._end(kind, name)

    def _start(self, kind: str, name: str, program: str, value: str, *, count: int) -> None:
        pids = []
        for _ in range(count):
            child = subprocess.Popen(
                [self._python, "-S", "-E", "-c", program, value],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
            child.returncode = 0  # the supervisor reaps
            pids.append(child.pid)
            self._supervisor.helpers.add(child.pid)
        self._running[kind, name] = pids

    def _end(self, kind: str, name: str) -> None:
        for pid in self._running.pop((kind, name), []):
            if pid in self._supervisor.helpers:
                send(pid, signal.SIGKILL)
