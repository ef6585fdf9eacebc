"""Where the sandbox keeps its files, as any user, with or without a writable home folder.

PostgreSQL refuses to run as root. As root it runs as uid 65534, which must be able to enter the
folders of its data and of its programs; where it can't, copies are made where it can.
"""

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hokusai_validation import file_lock
from hokusai_validation.errors import StackDidNotStart
from hokusai_validation.store import scratch

UNPRIVILEGED = 65534


def is_root() -> bool:
    """Whether services need another user."""
    return os.geteuid() == 0


def cache_folder() -> Path:
    """What may be kept between starts: `HOKUSAI_SANDBOX_CACHE`, else the user's cache folder, else
    one in the system's temporary folder. Made if missing, 0700."""
    wanted = os.environ.get("HOKUSAI_SANDBOX_CACHE")
    if wanted:
        return _private(Path(wanted))
    base = os.environ.get("XDG_CACHE_HOME") or (
        os.path.join(os.environ["HOME"], ".cache") if os.environ.get("HOME") else None
    )
    if base:
        with contextlib.suppress(OSError):
            return _private(Path(base) / "hokusai-validation")
    return _private(_temporary() / f"hokusai-validation-cache-{os.geteuid()}")


def shared_cache_folder() -> Path:
    """As root: a kept folder of root's that every user can read (programs, nothing secret)."""
    candidates = [Path("/var/tmp"), _temporary()]
    for base in candidates:
        if not _open_to_all(base):
            continue
        with contextlib.suppress(OSError):
            folder = _private(base / f"hokusai-validation-programs-{os.geteuid()}")
            folder.chmod(0o755)
            return folder
    raise StackDidNotStart(
        f"No folder for programs that uid {UNPRIVILEGED} can read was found (tried"
        f" {', '.join(str(item) for item in candidates)}): start the sandbox as an ordinary user."
    )


def new_run_folder() -> Path:
    """A fresh folder for this start's data, which every user may pass through. What killed starts left
    is removed."""
    folder = scratch.claim("hokusai-sandbox-", _temporary())
    folder.chmod(0o711)
    return folder


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; waits for another process that holds it."""
    with path.open("w") as handle:
        file_lock.take(handle.fileno())
        yield


def runnable_by_unprivileged(program: Path) -> bool:
    """Whether uid 65534 can start `program` (every folder above it open, a usable loader)."""
    try:
        done = subprocess.run(
            [program, "--version"],
            user=UNPRIVILEGED,
            group=UNPRIVILEGED,
            extra_groups=[],
            cwd="/",
            env={"PATH": os.defpath},
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def copy_tree(source: Path, destination: Path, *, owner: int | None) -> None:
    """Copy a folder; as root, `owner` gets it all. The destination is not there yet."""

    def copy(one: str, other: str) -> str:
        shutil.copy2(one, other)
        if owner is not None:
            os.chown(other, owner, owner)
        return other

    shutil.copytree(source, destination, symlinks=True, copy_function=copy)
    if owner is not None:
        os.chown(destination, owner, owner)
        for folder, names, _ in os.walk(destination):
            for name in names:
                os.chown(os.path.join(folder, name), owner, owner, follow_symlinks=False)


def _temporary() -> Path:
    """A temporary folder that another user can pass through too."""
    candidates = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    for folder in candidates:
        if not is_root() or _open_to_all(folder):
            return folder
    raise StackDidNotStart(
        f"No temporary folder that uid {UNPRIVILEGED} can enter was found (tried"
        f" {', '.join(str(item) for item in candidates)}): set TMPDIR to one."
    )


def _open_to_all(folder: Path) -> bool:
    try:
        paths = [folder.resolve(), *folder.resolve().parents]
        return all(path.stat().st_mode & stat.S_IXOTH for path in paths)
    except OSError:
        return False


def _private(folder: Path) -> Path:
    """The folder, made if missing; refused when it is another user's (a planted one in /tmp)."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to uid {found.st_uid}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} is not writable")
    return folder
