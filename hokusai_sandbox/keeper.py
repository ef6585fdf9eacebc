"""The process above the supervisor. It does nothing but outlive it: whatever way the supervisor
ends, everything below is ended too and the run's files are removed, paused processes included.

The supervisor ends in order when the keeper dies, so neither can be killed alone and leave anything.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from hokusai_sandbox.process import descendants, send
from hokusai_validation.descent import adopt_orphans, die_with_parent
from hokusai_validation.store import scratch

LOOK_S = 0.2
STOP_LIMIT_S = 15.0


def keep(run_folder: Path, leftovers: tuple[Path, ...], *, parent: int | None) -> None:
    """Fork. In the child (the supervisor) this returns; in the keeper it ends the process.

    `parent`: when this process's parent is no longer that one, everything is ended. `leftovers`
    are files that say that the sandbox is up."""
    adopt_orphans()
    child = os.fork()
    if child == 0:
        die_with_parent(signal.SIGTERM)
        adopt_orphans()
        return
    status = 1
    try:
        status = _watch(child, parent)
    finally:
        _end_all()
        clear(run_folder, leftovers)
        os._exit(status)


def clear(run_folder: Path, leftovers: tuple[Path, ...]) -> None:
    """Remove the run's files and those that say that the sandbox is up."""
    scratch.remove(run_folder)
    for path in leftovers:
        path.unlink(missing_ok=True)


def _watch(child: int, parent: int | None) -> int:
    watched = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    asked_at: float | None = None
    while True:
        got = signal.sigtimedwait(watched, LOOK_S)
        status = _reaped(child)
        if status is not None:
            return status
        orphaned = parent is not None and os.getppid() != parent
        if asked_at is None and (orphaned or (got is not None and got.si_signo != signal.SIGCHLD)):
            asked_at = time.monotonic()
            send(child, signal.SIGTERM)
            send(child, signal.SIGCONT)
        if asked_at is not None and time.monotonic() > asked_at + STOP_LIMIT_S:
            send(child, signal.SIGKILL)


def _reaped(child: int) -> int | None:
    """Take in every child that ended; the supervisor's status, once it is among them."""
    status = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, code = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                status = os.waitstatus_to_exitcode(code)
    return None if status is None else (status if status >= 0 else 1)


def _end_all() -> None:
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline:
        left = descendants(os.getpid())
        if not left:
            return
        for pid in left:
            send(pid, signal.SIGKILL)
        _reaped(-1)
        time.sleep(0.02)
