"""Locks of this machine on a stack: files that name their holder and die with it.

    with TargetLock(target, what="load phase"):
        …

They lie where neither the environment nor a target's name decides: two files that name one stack
share its lock. A process started by the holder inherits it (`environment()` gives the variable to pass
on; `os.environ` is set too while the lock is held), so a run's phases don't collide with their own
run; nobody else can name the holder and pass. Taking it twice in one process is fine. `store.lock`
has what keeps runs of several machines apart.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from hokusai_validation import file_lock
from hokusai_validation.effective import Identity, digest
from hokusai_validation.errors import LockUnusable, TargetBusy
from hokusai_validation.target import Target

VARIABLE = "HOKUSAI_TARGET_LOCK"
# Not tempfile's, which the environment moves; the folder that is made in it is the user's own.
BASE = Path("/var/tmp")  # noqa: S108
_POLL_S = 0.1


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: process, what it does, since when (ISO 8601)."""

    pid: int
    what: str
    since: str


def target_key(target: Target) -> str:
    """What tells one stack from another, whatever its target is called: its front door, else its
    cluster, else its parts, and only where it has none of these the target's name."""
    known = Identity.of(target)
    where: tuple[str | None, ...] = (known.registry or known.api or known.plain or known.auth,)
    if where == (None,):
        where = (known.account_id, known.region, known.cluster, known.aws_endpoint, *known.parts)
    if not any(where):
        where = ("name", target.name)
    return digest("\n".join(each or "" for each in where))[:20]


class FileLock:
    """A lock on one file, held by at most one process. Not to be shared between threads."""

    def __init__(self, path: Path, busy: str) -> None:
        self.path = path
        self._busy = busy
        self._file: int | None = None

    def take(self, what: str, *, wait_s: float = 0.0) -> None:
        """Hold it from now on.

        Raises TargetBusy, with the holder in the message."""
        deadline = time.monotonic() + wait_s
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            free = file_lock.taken(file)
            if free and self._is_there(file):
                break
            os.close(file)
            if free:  # its holder removed it in between
                continue
            if time.monotonic() < deadline:
                time.sleep(_POLL_S)
                continue
            holder = self.holder()
            told = f" by process {holder.pid} ({holder.what}, since {holder.since})" if holder else ""
            raise TargetBusy(f"{self._busy}{told}; wait for its end, or stop it.")
        holder = Holder(os.getpid(), what, datetime.now(UTC).isoformat(timespec="seconds"))
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(asdict(holder)).encode(), 0)
        self._file = file

    def leave(self) -> None:
        """Give it back. May be repeated."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()  # while it is held: whoever waits for it makes a new one
            os.close(self._file)
            self._file = None

    def _is_there(self, file: int) -> bool:
        with contextlib.suppress(OSError):
            return os.fstat(file).st_ino == self.path.stat().st_ino
        return False

    def holder(self) -> Holder | None:
        """Who holds it now; None when nobody does."""
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            if file_lock.taken(file, shared=True):
                return None
            with contextlib.suppress(ValueError, TypeError, OSError):
                return Holder(**json.loads(os.pread(file, 4096, 0)))
            return Holder(0, "unknown", "unknown")
        finally:
            os.close(file)


class _ProcessLock:
    """A file lock that a process may take any number of times."""

    suffix: ClassVar[str]
    busy: ClassVar[str]
    _held_here: ClassVar[dict[Path, tuple[FileLock | None, int]]] = {}
    _guard: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, target: Target, what: str, *, wait_s: float = 0.0) -> None:
        self.key = target_key(target)
        self._what = what
        self._wait_s = wait_s
        self._path = lock_folder() / f"{self.key}.{self.suffix}"
        self._busy = self.busy.format(name=target.name)

    def __enter__(self) -> Self:
        with self._guard:
            lock, times = self._held_here.get(self._path, (None, 0))
            if times == 0 and not self._inherited():
                lock = FileLock(self._path, self._busy)
                lock.take(self._what, wait_s=self._wait_s)
                self._taken()
            self._held_here[self._path] = (lock, times + 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            lock, times = self._held_here.pop(self._path)
            if times > 1:
                self._held_here[self._path] = (lock, times - 1)
            elif lock is not None:
                lock.leave()
                self._left()

    def holder(self) -> Holder | None:
        """Who holds it now; None when nobody does."""
        return FileLock(self._path, self._busy).holder()

    def _inherited(self) -> bool:
        return False

    def _taken(self) -> None:
        pass

    def _left(self) -> None:
        pass


class TargetLock(_ProcessLock):
    """A run's lock on its target, as a context manager.

    Raises TargetBusy on entry."""

    suffix = "lock"
    busy = "Target '{name}' is in use by another run"

    def environment(self) -> Mapping[str, str]:
        """What a process that works for the holder needs in its environment."""
        value = os.environ.get(VARIABLE)
        return {VARIABLE: value} if value else {}

    def _inherited(self) -> bool:
        """Whether the process that we work for holds it: named in our environment, and still there."""
        key, _, pid = os.environ.get(VARIABLE, "").rpartition(":")
        holder = self.holder() if key == self.key else None
        return holder is not None and str(holder.pid) == pid and holder.pid in _ancestors()

    def _taken(self) -> None:
        os.environ[VARIABLE] = f"{self.key}:{os.getpid()}"

    def _left(self) -> None:
        os.environ.pop(VARIABLE, None)


class NameLock(_ProcessLock):
    """A run's lock on its target's place in some results: two stacks of one name would write there.

    Raises TargetBusy on entry."""

    suffix = "name"
    busy = "Target '{name}' is in use by another run"

    def __init__(self, target: Target, what: str, base: str) -> None:
        super().__init__(target, what)
        self.key = digest(f"{base}\n{target.name}")[:20]
        self._path = lock_folder() / f"{self.key}.{self.suffix}"


class ExperimentLock(_ProcessLock):
    """Held by the one process that puts faults on a target; `chaos stop` finds it by that.

    Raises TargetBusy on entry."""

    suffix = "experiment"
    busy = "Another experiment runs on target '{name}'"


def lock_folder() -> Path:
    """A folder of this user's own for locks, the same for every process of the user on this machine.

    Raises LockUnusable when somebody else's folder stands in its place, or none can be made."""
    folder = BASE / f"hokusai-validation-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise LockUnusable(f"The folder for locks {folder} can't be made: {error.strerror}.") from None
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise LockUnusable(f"{folder} belongs to another user; remove it, or have it removed.")
    return folder


def _ancestors() -> frozenset[int]:
    """The processes that this one descends from, and itself."""
    import psutil

    return frozenset({os.getpid(), *(each.pid for each in psutil.Process().parents())})
