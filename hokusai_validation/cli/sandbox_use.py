"""The sandbox as `run` uses it: one that is up is used and left up, else one is started and stopped."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hokusai_validation.target import targets_dir

SANDBOX = "sandbox"


def is_sandbox(name_or_path: str) -> bool:
    """Whether the name means the stack of this machine (a path is a target like any other)."""
    return name_or_path == SANDBOX


def directory() -> Path:
    """Where the stack keeps itself: `HOKUSAI_SANDBOX_DIR`, by default `.sandbox` here."""
    return Path(os.environ.get("HOKUSAI_SANDBOX_DIR", ".sandbox"))


@contextmanager
def source(name_or_path: str, say: Callable[[str], None]) -> Iterator[str]:
    """The target to read, its stack up where it is the sandbox. What was started is stopped.

    Raises StackDidNotStart, PortTaken."""
    if not is_sandbox(name_or_path) or is_up():
        yield _source(name_or_path)
        return
    from hokusai_sandbox.stack import Stack

    say("starting the sandbox")
    with Stack.start(directory()):
        yield _source(name_or_path)
        say("stopping the sandbox")


def is_up() -> bool:
    """Whether a stack of this folder is up."""
    from hokusai_sandbox.stack import Stack

    return Stack.running(directory()) is not None


def _source(name_or_path: str) -> str:
    """The sandbox's own target file, unless a file of the project extends the one that lies here."""
    if not is_sandbox(name_or_path):
        return name_or_path
    own = targets_dir() / f"{SANDBOX}.toml"
    if "HOKUSAI_SANDBOX_DIR" in os.environ or not own.is_file():
        return str(directory() / "target.toml")
    return SANDBOX
