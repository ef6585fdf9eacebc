"""The engine: runs a plan in processes of its own and gives back one outcome.

The generator shares neither a core's time slice nor Python's lock with whoever asks for it, so
samplers beside it and the test itself don't make it late.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self

from hokusai_validation.errors import NotJudged
from hokusai_validation.load.outcome import Outcome, Second
from hokusai_validation.load.plan import Plan

READY_LIMIT_S = 30.0  # starting Python, opening connections
LEAD_S = 0.02  # between saying when to start and starting
GRACE_S = 5.0


class _Process:
    """One worker; it ends when its socket does, which is when this process does."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hokusai_validation.load.worker", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # an interrupt is the owner's to handle
            )
        self.pipe: Connection[Any, Any] = Connection(ours.detach())

    def close(self) -> None:
        self.pipe.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Running:
    """A run under way. Read it to its end with `result`, or end it with `stop`."""

    def __init__(
        self,
        plan: Plan,
        workers: list[_Process],
        on_second: Callable[[Second], None] | None,
        at: float | None = None,
    ) -> None:
        self.plan = plan
        self._workers = workers
        self._on_second = on_second
        self._outcome: Outcome | None = None
        self._parts: list[Outcome] = []
        self._reason = ""
        try:
            for index, worker in enumerate(workers):
                worker.pipe.send(("plan", plan, index, len(workers)))
            for worker in workers:
                self._expect_ready(worker)
            soonest = time.perf_counter() + LEAD_S
            self.started = soonest if at is None else max(at, soonest)
            self.started_at_s = time.time() + self.started - time.perf_counter()
            for worker in workers:
                worker.pipe.send(("start", self.started))
        except (EOFError, OSError):
            raise NotJudged("A load worker ended before the run began.") from None

    def _expect_ready(self, worker: _Process) -> None:
        if not worker.pipe.poll(READY_LIMIT_S):
            raise NotJudged(f"A load worker was not ready within {READY_LIMIT_S:g} s.")
        message = worker.pipe.recv()
        if message[0] != "ready":
            raise NotJudged(f"A load worker could not begin: {message[1]}.")

    def stop(self, reason: str) -> None:
        """End it at once, in every process."""
        self._reason = self._reason or reason
        for worker in self._workers:
            with suppress(OSError):
                worker.pipe.send(("stop", reason))

    def result(self) -> Outcome:
        """Wait for the end, and merge.

        Raises NotJudged when a worker died or did not come to an end."""
        if self._outcome is not None:
            return self._outcome
        kind = "open" if self.plan.model.__class__.__name__ == "Open" else "closed"
        merged = Outcome(kind, started_at_s=self.started_at_s)
        merged.check.processes = len(self._workers)
        waiting = {worker.pipe for worker in self._workers}
        wait_s = max(0.0, self.started - time.perf_counter())
        limit = time.monotonic() + wait_s + self.plan.duration_s + self.plan.patience_s + GRACE_S
        while waiting:
            ready = wait(list(waiting), timeout=max(0.0, limit - time.monotonic()))
            if not ready:
                raise NotJudged("The load run did not come to its end in time.")
            for pipe in ready:
                if isinstance(pipe, Connection) and self._read(pipe, merged):
                    waiting.discard(pipe)
        merged.stopped = self._reason or merged.stopped
        self._outcome = merged
        return merged

    def _read(self, pipe: "Connection[Any, Any]", merged: Outcome) -> bool:
        """Take in one message; whether it was the worker's last."""
        try:
            kind, *values = pipe.recv()
        except (EOFError, OSError):
            raise NotJudged("A load worker died in the middle of the run.") from None
        if kind == "second":
            merged.add_second(values[0])
            if self._on_second is not None:
                self._on_second(values[0])
            return False
        if kind == "failed":
            raise NotJudged(f"A load worker could not go on: {values[0]}.")
        merged.add(values[0])
        if merged.stopped and not self._reason:
            self.stop(merged.stopped)  # what one process sees ends all
        return True


class Engine:
    """Keeps `processes` workers for one run after the other. Use it with `with`; not for several
    runs at a time (take an engine for each)."""

    def __init__(self, processes: int = 1) -> None:
        self.processes = processes
        self._workers: list[_Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(
        self, plan: Plan, on_second: Callable[[Second], None] | None = None, *, at: float | None = None
    ) -> Running:
        """Begin a run, at once or `at` a time of `time.perf_counter()`. `on_second` is given each
        process's seconds as they end, from within `Running.result`.

        Raises NotJudged when the workers can't begin."""
        while len(self._workers) < self.processes:
            self._workers.append(_Process())
        try:
            return Running(plan, self._workers, on_second, at)
        except BaseException:
            self.close()
            raise

    def run(self, plan: Plan, on_second: Callable[[Second], None] | None = None) -> Outcome:
        """A whole run.

        Raises NotJudged when a worker died."""
        running = self.start(plan, on_second)
        try:
            return running.result()
        except BaseException:
            self.close()  # interrupted: whoever still sends must not go on
            raise

    def close(self) -> None:
        """End the workers, whatever they are at."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.close()
