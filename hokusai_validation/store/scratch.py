"""Folders for a moment's work that end with their process, also when it is killed: a file beside each is locked
while its process lives, and the next one to make such a folder removes those whose file nobody holds."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from hokusai_validation import file_lock

OWNER = ".owner"
# What has no such file is of an earlier version, and of no process that lives.
OLD_S = 24 * 3600.0
_held: dict[Path, int] = {}  # the open file of each folder of this process


@contextlib.contextmanager
def folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder in `parent`, or among the system's temporary ones, gone at the end of the block unless
    it was moved away.

    Raises OSError."""
    made = claim(prefix, parent or Path(tempfile.gettempdir()))
    try:
        yield made
    finally:
        remove(made)


def claim(prefix: str, base: Path) -> Path:
    """A new folder that is this process's, and that of those that it forks, as long as one of them lives.

    Raises OSError."""
    sweep(base, prefix)
    owner, file = _owner(base, prefix)
    made = owner.with_suffix("")
    made.mkdir(mode=0o700)
    _held[made] = file
    return made


def remove(made: Path) -> None:
    """Remove one with all that is in it, whoever made it. May be repeated."""
    shutil.rmtree(made, ignore_errors=True)
    with contextlib.suppress(OSError):
        made.with_name(made.name + OWNER).unlink()
    file = _held.pop(made, None)
    if file is not None:
        os.close(file)


def sweep(base: Path, prefix: str) -> None:
    """Remove the folders of this user whose names begin so and whose process is dead."""
    try:
        found = [path for path in base.iterdir() if path.name.startswith(prefix)]
    except OSError:
        return
    for path in found:
        with contextlib.suppress(OSError):
            if path.is_symlink() or path.stat().st_uid != os.getuid():
                continue
            if path.suffix == OWNER:
                _remove_abandoned(path)
            elif path.is_dir() and not path.with_name(path.name + OWNER).exists() and _is_old(path):
                shutil.rmtree(path, ignore_errors=True)


def _owner(base: Path, prefix: str) -> tuple[Path, int]:
    """A new file, held by this process."""
    while True:
        file, name = tempfile.mkstemp(prefix=prefix, suffix=OWNER, dir=base)
        file_lock.take(file)
        if os.fstat(file).st_nlink:
            return Path(name), file
        os.close(file)  # another one took it for abandoned in between


def _remove_abandoned(owner: Path) -> None:
    file = os.open(owner, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if file_lock.taken(file):  # else its process lives
            shutil.rmtree(owner.with_suffix(""), ignore_errors=True)
            owner.unlink(missing_ok=True)
    finally:
        os.close(file)


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > OLD_S
