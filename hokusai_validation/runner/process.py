"""The suite as a process of its own: started, listened to, ended when it hangs."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hokusai_validation.catalogue import Entry
from hokusai_validation.errors import SuiteError
from hokusai_validation.redaction import Redactor
from hokusai_validation.reporting.escape import plain
from hokusai_validation.result import Phase
from hokusai_validation.runner import standby
from hokusai_validation.runner.parentage import CLEAN_UP_S
from hokusai_validation.runner.stall import STALL_S
from hokusai_validation.runner.standby import SuiteProcess
from hokusai_validation.runner.timelimit import GRACE_S, TEARDOWN_LEAST_S, limit_s
from hokusai_validation.target import Target

POLL_S = 0.05
START_LIMIT_S = 60.0
OUTPUT_LIMIT = 2_000_000


@dataclass(frozen=True)
class Ended:
    """How a suite process ended. `why` says why rows may be missing (empty: it ended by itself);
    `output` is what it printed, masked."""

    status: int
    why: str
    output: str


def command(phase: Phase, target_name: str, rows_place: str, workers: int = 0) -> list[str]:
    """The command of a phase: the same one that a person types."""
    words = standby.command("--phase", phase.value, "--target", target_name)
    if workers:
        words += ["-n", str(workers)]
    return [*words, "--rows", rows_place]


def silence_limit_s(entries: Sequence[Entry], target: Target) -> float:
    """How long no row may come before the process counts as hanging: longer than any test may take,
    interruption and tear-down included."""
    longest = max((limit_s(entry, target) for entry in entries), default=0.0)
    return longest + GRACE_S + TEARDOWN_LEAST_S + GRACE_S + START_LIMIT_S


def run(
    words: Sequence[str],
    environment: Mapping[str, str],
    *,
    rows_so_far: Callable[[], int],
    silence_s: float,
    redactor: Redactor,
) -> Ended:
    """Run a suite process to its end. It dies with us, and is ended when no row went on record for
    `silence_s` seconds or when we are interrupted.

    Raises SuiteError when it can't be started."""
    try:
        process = standby.start(words, environment)
    except OSError as error:
        raise SuiteError(
            f"The suite process could not start ({words[0]}: {error.strerror}); check the installation."
        ) from None
    output = _Output(process, redactor)
    why = ""
    try:
        why = _wait(process, rows_so_far, silence_s)
    finally:
        _end(process)
        output.close()
    status = process.wait()
    if not why and status < 0:
        why = f"the suite process was ended by {signal.Signals(-status).name}"
    elif not why and status > 1:
        why = f"the suite process ended with status {status}: {output.last_line}"
    return Ended(status, why, output.text)


def _wait(process: SuiteProcess, rows_so_far: Callable[[], int], silence_s: float) -> str:
    count, since = 0, time.monotonic()
    while True:
        looked = time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
            return ""
        stood_still_s = time.monotonic() - looked - POLL_S
        if stood_still_s >= STALL_S:  # the process below us did too, more likely than not
            since += stood_still_s
        present = rows_so_far()
        if present != count:
            count, since = present, time.monotonic()
        elif time.monotonic() - since > silence_s:
            return f"the suite process was ended, because no row went on record for {silence_s:.0f} s"


def _end(process: SuiteProcess) -> None:
    """End it and what it started: first asked, so that it can put the target right, then killed."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(CLEAN_UP_S + 1)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Output:
    """Reads what the process prints, masks it, keeps the first part of it."""

    def __init__(self, process: SuiteProcess, redactor: Redactor) -> None:
        self._stream = process.stdout
        self._redactor = redactor
        self._lines: list[str] = []
        self._size = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        if self._stream is None:
            return
        for line in iter(lambda: self._stream.readline(65_536) if self._stream else b"", b""):
            if self._size < OUTPUT_LIMIT:
                text = plain(self._redactor.text(line.decode(errors="replace")))
                self._lines.append(text)
                self._size += len(text)

    def close(self) -> None:
        """Wait for the rest; a grandchild that holds the pipe open is not waited for."""
        self._thread.join(timeout=5)

    @property
    def text(self) -> str:
        return "".join(self._lines)

    @property
    def last_line(self) -> str:
        lines = [line.strip() for line in self._lines if line.strip()]
        return lines[-1][:300] if lines else "it printed nothing"
