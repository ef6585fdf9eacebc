"""A suite process that waits for its phase: its interpreter is started, and what every phase imports is
imported, while the phase before it waits for the target. What takes seconds to import is left until that
has only tests to come that run alone, most of whose time is waiting."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pydantic import JsonValue

from hokusai_validation.result import Phase
from hokusai_validation.runner.parentage import PARENT_VARIABLE
from hokusai_validation.runner.warming import preload_for

MODULE = "hokusai_validation.run_test_suite"
OPTION = "--standby"
LINE_LIMIT_BYTES = 4 * 1024 * 1024

_kept: "subprocess.Popen[bytes] | None" = None
_keeping = False


def command(*arguments: str) -> list[str]:
    """Every command of a suite process."""
    return [sys.executable, "-m", MODULE, *arguments]


@contextmanager
def keeping() -> Iterator[None]:
    """In the block one is kept ready, for a command that runs the phases itself."""
    global _keeping
    _keeping = True
    prepare()
    try:
        yield
    finally:
        _keeping = False
        if (process := _taken()) is not None:
            process.kill()
            process.wait()


def prepare() -> None:
    """Start one, unless one is ready or none is to be kept. Not while something is measured."""
    global _kept
    if not _keeping or _kept is not None:
        return
    with contextlib.suppress(OSError):  # without one, a phase starts its own
        _kept = start(command(OPTION), {}, stdin=subprocess.PIPE)


def prepare_for(phase: Phase) -> None:
    """Let the one that is ready get ready for a phase."""
    if _kept is not None:
        _tell(_kept, {"phase": phase.value})


def start(
    words: Sequence[str], environment: Mapping[str, str], *, stdin: int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    """A suite process, in a session of its own, that ends with this one.

    Raises OSError."""
    return subprocess.Popen(
        words,
        env={**_inherited(), **environment, PARENT_VARIABLE: str(os.getpid())},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def take(words: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes] | None":
    """The one that is ready, told to run a command; None where there is none, or for another command."""
    begins = command()
    if list(words[: len(begins)]) != begins:
        return None
    process = _taken()
    if process is None or process.stdin is None:
        return None
    if not _tell(process, {"words": list(words[len(begins) :]), "environment": dict(environment)}):
        process.kill()
        process.wait()
        return None
    process.stdin.close()
    process.stdin = None
    return process


def _tell(process: "subprocess.Popen[bytes]", what: Mapping[str, JsonValue]) -> bool:
    """Whether it could be told: it may have died."""
    try:
        if process.stdin is not None:
            process.stdin.write(json.dumps(what).encode() + b"\n")
            process.stdin.flush()
    except OSError:
        return False
    return process.stdin is not None


def wait() -> list[str] | None:
    """In the process that waits: the arguments of its command, its environment set; None where it is not
    needed any more."""
    while True:
        line = sys.stdin.buffer.readline(LINE_LIMIT_BYTES)
        if not line:
            return None
        told = json.loads(line)
        if "phase" not in told:
            break
        preload_for(Phase(told["phase"]))
    os.environ.update(told["environment"])
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    words: list[str] = told["words"]
    return words


def _taken() -> "subprocess.Popen[bytes] | None":
    global _kept
    process, _kept = _kept, None
    return process


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
