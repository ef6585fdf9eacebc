"""Changes of processes: gone, standing still, short of something, started with other settings."""

import asyncio
import contextlib
import dataclasses
import resource
from collections.abc import Mapping

from hokusai_sandbox.changes.ground import ChangeFailed, ChangeInvalid, Ground, Undo, Values, table, text
from hokusai_sandbox.process import Process

START_LIMIT_S = 60.0
LONG_S = 3600.0
LIMITS = {"open_files": resource.RLIMIT_NOFILE, "memory_bytes": resource.RLIMIT_DATA}


async def kill(ground: Ground, values: Values) -> Undo:
    """SIGKILL to `process`; it stays away until this is undone."""
    name, process = _process(ground, values)
    ground.supervisor.kill(name, down_s=LONG_S)

    async def back() -> None:
        ground.supervisor.release(name)
        await _ready(ground, name, process)

    return back


async def pause(ground: Ground, values: Values) -> Undo:
    """SIGSTOP to `process` and all below it."""
    _, process = _process(ground, values)
    process.pause()

    async def back() -> None:
        process.resume()

    return back


async def limit(ground: Ground, values: Values) -> Undo:
    """Limit one of a process's resources: `open_files` or `memory_bytes` to `to`, or, with `margin`,
    to what is in use and that many more."""
    _, process = _process(ground, values)
    what, to = text(values, "resource"), values.get("to")
    if what not in LIMITS or not isinstance(to, int) or to < 0:
        raise ChangeInvalid(f"`resource` is one of {', '.join(LIMITS)}, and `to` a whole number.")
    before: dict[int, tuple[int, int]] = {}
    for pid in process.tree:
        with contextlib.suppress(ProcessLookupError):
            old = resource.prlimit(pid, LIMITS[what])
            before[pid] = old
            # Only the soft limit: the hard one could not be raised again without privileges.
            resource.prlimit(pid, LIMITS[what], (to, old[1]))

    async def back() -> None:
        for pid, old in before.items():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                resource.prlimit(pid, LIMITS[what], old)

    return back


async def environment(ground: Ground, values: Values) -> Undo:
    """Start `process` again with other environment variables (`values`)."""
    name, _ = _process(ground, values)
    return await with_environment(
        ground, name, {key: str(value) for key, value in table(values, "values").items()}
    )


async def with_environment(ground: Ground, name: str, values: Mapping[str, str]) -> Undo:
    """Start a process again with these variables over its own, and wait until it serves.

    Raises ChangeFailed."""
    process = ground.supervisor.processes[name]
    before = process.service
    process.service = dataclasses.replace(before, environment={**before.environment, **values})
    await _restart(ground, name, process)

    async def back() -> None:
        process.service = before
        await _restart(ground, name, process)

    return back


async def _restart(ground: Ground, name: str, process: Process) -> None:
    pid = process.pid
    ground.supervisor.restart(name)
    await _ready(ground, name, process, but=pid)


async def _ready(ground: Ground, name: str, process: Process, but: int | None = None) -> None:
    deadline = asyncio.get_running_loop().time() + START_LIMIT_S
    while process.pid in (None, but) or not ground.supervisor.is_ready(name):
        if asyncio.get_running_loop().time() > deadline:
            lines = " | ".join(process.last_lines())
            raise ChangeFailed(f"{name} did not serve again within {START_LIMIT_S:g} s: {lines}.")
        await asyncio.sleep(0.03)


def _process(ground: Ground, values: Values) -> tuple[str, Process]:
    name = text(values, "process")
    found = ground.supervisor.processes.get(name)
    if found is None:
        raise ChangeInvalid(f"There is no process {name!r}; known: {', '.join(ground.supervisor.processes)}.")
    return name, found
