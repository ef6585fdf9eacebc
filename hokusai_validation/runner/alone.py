"""The lock by which exclusive tests run alone, whatever other test processes of a suite do."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(lock_file: Path | None, *, exclusive: bool) -> Iterator[None]:
    """In a parallel run: exclusive tests wait for all others and hold them off. The kernel gives
    the lock back when a process dies."""
    if lock_file is None:
        yield
        return
    handle = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)
