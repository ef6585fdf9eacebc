"""Runs some commands and everything that they start as one family: when one of them ends, the
keeper is told to end, or whoever started it dies, all of them end. The commands are given as JSON:
`python -m hokusai_validation.cli.family '[["COMMAND", "WORD"], …]'`.

Dagster's servers start servers of their own, which would outlive them for a while.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from hokusai_validation.runner.parentage import PARENT_VARIABLE, end_with_parent

ASKED_S = 4.0
POLL_S = 0.05


def start(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str], log: int
) -> "subprocess.Popen[bytes]":
    """Start a family of its own session, its output to the file descriptor `log`."""
    return subprocess.Popen(
        [sys.executable, "-m", __name__, json.dumps(commands)],
        env={**environment, PARENT_VARIABLE: str(os.getpid())},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def stop(family: "subprocess.Popen[bytes]") -> None:
    """End a family; returns when all of it is gone."""
    with contextlib.suppress(ProcessLookupError):
        family.terminate()
    try:
        family.wait(ASKED_S + 3)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(family.pid, signal.SIGKILL)
        family.wait()


def _keep(commands: Sequence[Sequence[str]]) -> int:
    end_with_parent()
    try:
        children = [subprocess.Popen(command) for command in commands]
        while all(child.poll() is None for child in children):
            time.sleep(POLL_S)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        _end_all()


def _end_all() -> None:
    """Ask everyone of our process group to end, then make them."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    group = os.getpgrp()
    os.killpg(group, signal.SIGTERM)
    deadline = time.monotonic() + ASKED_S
    while time.monotonic() < deadline and _others(group):
        time.sleep(POLL_S)
    for pid in _others(group):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _others(group: int) -> list[int]:
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            running = process.status() != psutil.STATUS_ZOMBIE
            if process.pid != os.getpid() and running and os.getpgid(process.pid) == group:
                found.append(process.pid)
    return found


if __name__ == "__main__":
    sys.exit(_keep(json.loads(sys.argv[1])))
