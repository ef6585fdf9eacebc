"""One run at a time for each target on this machine: faults of one would be findings of the other."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from hokusai_validation.errors import TargetBusy
from hokusai_validation.store.locks import TargetLock
from hokusai_validation.store.storage import default_base
from hokusai_validation.target import Target

_held: set[Path] = set()


def lock_file(target: str, base: str = "") -> Path:
    """Beside the results, or in the temporary folder where those are not on this machine."""
    chosen = base or default_base()
    if "://" not in chosen:
        return Path(chosen).resolve() / "locks" / f"{target}.lock"
    return Path(tempfile.gettempdir()) / f"hokusai-validation-{os.getuid()}-{target}.lock"


@contextmanager
def target_lock(target: Target | str, base: str = "", *, what: str = "a run") -> Iterator[None]:
    """Hold the target for this process; again within the same process is fine. The kernel gives the
    lock back when the process dies. Given a Target, no other process can put faults on it either,
    wherever it keeps its results (see resources.locks); by name alone only runs with the same
    results are kept apart.

    Raises TargetBusy, with the holder."""
    name = target if isinstance(target, str) else target.name
    path = lock_file(name, base)
    with ExitStack() as stack:
        if path not in _held:
            stack.enter_context(_file_held(path, name, what))
        if not isinstance(target, str):
            stack.enter_context(TargetLock(target, what))
        yield


@contextmanager
def _file_held(path: Path, name: str, what: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "unknown"
            raise TargetBusy(
                f"Target '{name}' is being validated by process {holder}; wait for it, or end it."
            ) from None
        since = datetime.now(UTC).isoformat(timespec="seconds")
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} ({what}, since {since})".encode(), 0)
        _held.add(path)
        yield
    finally:
        _held.discard(path)
        os.close(handle)
