"""A real memory limit on a running process: writable private memory, at what it uses now and a
margin. An allocation past it fails in the process, as in a container with a limit."""

import contextlib
import resource
from collections.abc import Iterable

UNLIMITED = resource.RLIM_INFINITY


def used_bytes(pid: int) -> int:
    """What the limit counts of a process (`VmData`).

    Raises ProcessLookupError."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("VmData:"):
                    return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass
    raise ProcessLookupError(f"process {pid} is gone")


def limit_memory(pids: Iterable[int], margin_bytes: int) -> None:
    """Limit each process to what it uses now and `margin_bytes`.

    Raises ValueError for a negative margin, PermissionError for another user's process."""
    if margin_bytes < 0:
        raise ValueError("margin_bytes must not be negative")
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            _set(pid, used_bytes(pid) + margin_bytes)


def lift_memory(pids: Iterable[int]) -> None:
    """Take the limit off."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            _set(pid, UNLIMITED)


def _set(pid: int, limit: int) -> None:
    # Only the soft limit: the hard one could not be raised again without privileges.
    _, hard = resource.prlimit(pid, resource.RLIMIT_DATA)
    resource.prlimit(pid, resource.RLIMIT_DATA, (hard if limit == UNLIMITED else limit, hard))
