"""Locks on open files, which end with the process that holds them, however it ends."""

import fcntl


def take(file: int) -> None:
    """Wait until no other process holds it, and hold it. Raises OSError."""
    fcntl.flock(file, fcntl.LOCK_EX)


def taken(file: int, *, shared: bool = False) -> bool:
    """Hold it from now on, unless another process does (`shared`: alone)."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def leave(file: int) -> None:
    """Hold it no more; closing the file does the same."""
    fcntl.flock(file, fcntl.LOCK_UN)
