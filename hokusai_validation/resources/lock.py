"""One run at a time for each target on this machine: faults of one would be findings of the other."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hokusai_validation.errors import TargetBusy
from hokusai_validation.resources.storage import default_base

_held: set[Path] = set()


def lock_file(target: str, base: str = "") -> Path:
    """Beside the results, or in the temporary folder where those are not on this machine."""
    chosen = base or default_base()
    if "://" not in chosen:
        return Path(chosen).resolve() / "locks" / f"{target}.lock"
    return Path(tempfile.gettempdir()) / f"hokusai-validation-{os.getuid()}-{target}.lock"


@contextmanager
def target_lock(target: str, base: str = "") -> Iterator[None]:
    """Hold the target for this process; again within the same process is fine. The kernel gives the
    lock back when the process dies.

    Raises TargetBusy."""
    path = lock_file(target, base)
    if path in _held:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode(errors="replace").strip() or "unknown"
            raise TargetBusy(
                f"Target '{target}' is being validated by process {holder}; wait for it, or end it."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        _held.add(path)
        yield
    finally:
        _held.discard(path)
        os.close(handle)
