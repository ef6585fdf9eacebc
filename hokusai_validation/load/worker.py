"""A process that sends: `python -m hokusai_validation.load.worker FD`.

It is given plans over an inherited socket and gives back seconds and outcomes. When the other end
is gone, so is it: a generator without an owner would be an attack.
"""

import asyncio
import gc
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

import uvloop

from hokusai_validation.load.models import ClosedRun, OpenRun
from hokusai_validation.load.plan import Open, Plan
from hokusai_validation.load.run import Run


class Worker:
    """Messages in: `("plan", Plan, index, processes)`, `("start", time)`, `("stop", reason)`.
    Out: `("ready",)`, `("second", Second)`, `("done", Outcome)`, `("failed", text)`."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe = pipe
        self._run: Run | None = None
        self._start: asyncio.Future[float]

    async def serve(self) -> None:
        """Until the owner is gone."""
        loop = asyncio.get_running_loop()
        plans: asyncio.Queue[tuple[Plan, int, int]] = asyncio.Queue()

        def read() -> None:
            try:
                while self._pipe.poll():
                    message = self._pipe.recv()
                    if message[0] == "plan":
                        plans.put_nowait(message[1:])
                    elif message[0] == "start" and not self._start.done():
                        self._start.set_result(message[1])
                    elif message[0] == "stop":
                        self._stop(message[1])
            except (EOFError, OSError):
                os._exit(0)

        loop.add_reader(self._pipe.fileno(), read)
        while True:
            plan, index, processes = await plans.get()
            self._start = loop.create_future()
            try:
                self._send("done", await self._execute(plan, index, processes))
            except Exception as error:  # the owner must hear of it, whatever it is
                self._send("failed", f"{type(error).__name__}: {error}")
            self._run = None

    async def _execute(self, plan: Plan, index: int, processes: int) -> object:
        _raise_file_limit(plan.connections)
        make = OpenRun if isinstance(plan.model, Open) else ClosedRun
        run = self._run = make(plan, index, processes, lambda second: self._send("second", second))
        await run.prepare()
        # A collection in the middle of a run would be a pause that the target is blamed for; there
        # is nothing to collect, for samples make no cycles.
        gc.collect()
        gc.disable()
        try:
            self._send("ready")
            start = await self._start
            with _on_time(isinstance(plan.model, Open)):
                return await run.execute(start)
        finally:
            gc.enable()

    def _stop(self, reason: str) -> None:
        if not self._start.done():
            self._start.set_result(0.0)
        if self._run is not None:
            self._run.stop(reason)

    def _send(self, kind: str, *values: object) -> None:
        try:
            self._pipe.send((kind, *values))
        except OSError:
            os._exit(0)


@contextmanager
def _on_time(wanted: bool) -> Iterator[None]:
    """Be woken when a request is due, however busy the machine is, where the system allows it (it
    takes a privilege). Only for the open model, whose use of the CPU is what its rate makes it: a
    closed run would take the target's time from it on the same machine."""
    allowed = False
    if wanted:
        with suppress(OSError, AttributeError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
            allowed = True
    try:
        yield
    finally:
        if allowed:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _raise_file_limit(connections: int) -> None:
    """As many file descriptors as the connections need, as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        ceiling = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))


def main() -> None:
    """Serve the socket whose number is the only argument."""
    uvloop.run(Worker(Connection(int(sys.argv[1]))).serve())


if __name__ == "__main__":
    main()
