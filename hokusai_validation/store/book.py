"""What a suite process has under way at a target, on this machine's disk before it is done: the names that it
gives, and the test that changes the target's state. The process holds its book while it lives; whoever finds
one that nobody holds knows what a killed run may have left behind, and nothing else. What another process of
the same run could not remove is taken over without a word."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hokusai_validation import file_lock
from hokusai_validation.errors import LockUnusable
from hokusai_validation.store.locks import lock_folder, target_key
from hokusai_validation.target import Target

SUFFIX = "under-way"
_RUN, _NAME, _TEST, _OVER = "run", "name", "test", "over"
SIZE_LIMIT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Abandoned:
    """What stands in the books of processes that died: names given to things in the target, and tests
    that changed its state and did not end."""

    names: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names or self.tests)


class Book:
    """Of this process, in a run. A folder that can't be used makes one that keeps nothing."""

    def __init__(self, target: Target, run_id: str = "") -> None:
        self._key = target_key(target)
        self._run_id = run_id
        self._file: int | None = None
        self._path: Path | None = None
        self._names: list[str] = []
        self._gave = False
        self._tests: list[str] = []

    def take_over(self) -> Abandoned:
        """What dead processes left. Their names are this book's from now on."""
        try:
            return self._take_over()
        except (LockUnusable, OSError):
            return Abandoned()

    @property
    def is_own(self) -> bool:
        """Whether this process gave a name itself."""
        return self._gave

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that is to be gone at the end, those of dead processes among them."""
        return tuple(dict.fromkeys(self._names))

    def note(self, name: str) -> None:
        """A name is about to be given."""
        self._gave = True
        self._add(name)

    @contextlib.contextmanager
    def under_way(self, test: str) -> Iterator[None]:
        """A test that changes the target's state runs in the block."""
        self._write(_TEST, test)
        self._tests.append(test)
        try:
            yield
        finally:
            self._tests.remove(test)
            self._write(_OVER, test)

    def all_gone(self) -> None:
        """Nothing is there any more of what has a name."""
        self._names.clear()

    def close(self) -> None:
        """The end of the process's work. What is left, and a test that it does not come to the end of, is for
        the next one to find."""
        with contextlib.suppress(OSError):
            if self._path is not None and not self._names and not self._tests:
                self._path.unlink(missing_ok=True)
            if self._file is not None:
                os.close(self._file)
        self._file = self._path = None
        self._names.clear()

    def _add(self, name: str) -> None:
        self._names.append(name)
        self._write(_NAME, name)

    def _write(self, kind: str, text: str) -> None:
        with contextlib.suppress(LockUnusable, OSError):
            if self._file is None:
                path = lock_folder() / f"{self._key}.{os.getpid()}-{secrets.token_hex(4)}.{SUFFIX}"
                self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                file_lock.taken(self._file)
                self._path = path
                os.write(self._file, f"{_RUN} {self._run_id}\n".encode())
            os.write(self._file, f"{kind} {text}\n".encode())

    def _take_over(self) -> Abandoned:
        names: list[str] = []
        tests: list[str] = []
        for path in sorted(lock_folder().glob(f"{self._key}.*.{SUFFIX}")):
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            if not file_lock.taken(file):
                os.close(file)  # its process lives
                continue
            lines = os.pread(file, SIZE_LIMIT_BYTES, 0).decode(errors="replace").splitlines()
            entries = [line.partition(" ")[::2] for line in lines]
            found = [text for kind, text in entries if kind == _NAME]
            running = [text for kind, text in entries if kind == _TEST]
            for kind, text in entries:
                if kind == _OVER and text in running:
                    running.remove(text)
            for name in found:  # in our book first, then out of theirs
                self._add(name)
            if not self._run_id or (_RUN, self._run_id) not in entries:
                names += found
                tests += running
            path.unlink(missing_ok=True)
            os.close(file)
        return Abandoned(tuple(dict.fromkeys(names)), tuple(dict.fromkeys(tests)))
