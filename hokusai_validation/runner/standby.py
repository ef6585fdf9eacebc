"""A process on standby: what every phase imports is imported once, while the run begins, and each phase's suite
process parts from it. What takes seconds to import and one phase alone needs is left until the phase before it
has only tests to come that run alone, most of whose time is waiting."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Protocol

from hokusai_validation.result import Phase
from hokusai_validation.runner import fork_server
from hokusai_validation.runner.parentage import PARENT_VARIABLE
from hokusai_validation.runner.warming import preload_for

MODULE = "hokusai_validation.run_test_suite"
OPTION = "--standby"
# The server may be importing; a phase that starts its own would wait for as much.
PART_LIMIT_S = 60.0


class SuiteProcess(Protocol):
    """What both ways of starting one give; as `subprocess.Popen`."""

    pid: int

    @property
    def stdout(self) -> IO[bytes] | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def poll(self) -> int | None: ...
    def send_signal(self, sig: int) -> None: ...


@dataclass
class _Standby:
    process: "subprocess.Popen[bytes]"
    channel: socket.socket
    told: set[Phase] = field(default_factory=set)

    def end(self) -> None:
        """It and what it is parting into."""
        self.channel.close()
        self.process.kill()
        self.process.wait()


_kept: _Standby | None = None


def command(*arguments: str) -> list[str]:
    """Every command of a suite process."""
    return [sys.executable, "-m", MODULE, *arguments]


@contextmanager
def keeping() -> Iterator[None]:
    """In the block one is kept, for a command that runs the phases itself."""
    global _kept
    with suppress(OSError):  # without one, a phase starts its own
        _kept = _started()
    try:
        yield
    finally:
        _end()


def prepare_for(phase: Phase) -> None:
    """Let it import what a phase needs. Not while something is measured."""
    if _kept is not None and phase not in _kept.told:
        _kept.told.add(phase)
        with suppress(OSError):  # it may have died
            fork_server.tell(_kept.channel, {"phase": phase.value})


def start(words: Sequence[str], environment: Mapping[str, str]) -> SuiteProcess:
    """A suite process, in a session of its own, that ends with this one: parted from the one on standby where
    there is one, and the command is a suite's.

    Raises OSError."""
    begins = command()
    if _kept is not None and list(words[: len(begins)]) == begins:
        # What we inherited may have changed since: the lock that we hold stands in it.
        whole = {**_inherited(), **environment}
        parted = fork_server.fork(_kept.channel, words[len(begins) :], whole, PART_LIMIT_S)
        if parted is not None:
            return parted
        _end()
    return _popen(words, environment, subprocess.DEVNULL, subprocess.PIPE)


def wait() -> list[str] | None:
    """In the process on standby: see `fork_server.serve`."""
    return fork_server.serve(socket.socket(fileno=os.dup(0)), lambda told: preload_for(Phase(told["phase"])))


def _started() -> _Standby:
    ours, its = socket.socketpair()
    with its:
        process = _popen(command(OPTION), {}, its.fileno(), subprocess.DEVNULL)
    return _Standby(process, ours)


def _popen(
    words: Sequence[str], environment: Mapping[str, str], stdin: int, stdout: int
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        words,
        env={**_inherited(), **environment, PARENT_VARIABLE: str(os.getpid())},
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _end() -> None:
    global _kept
    kept, _kept = _kept, None
    if kept is not None:
        kept.end()


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
