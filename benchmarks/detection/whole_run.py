"""One whole light run of the command line, as a process, with what must happen beside it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hokusai_validation.runner.parentage import PARENT_VARIABLE

COMMAND = (sys.executable, "-m", "hokusai_validation.cli", "run")
LIMIT_S = 900.0
BUSY_LOOPS = 2
FUNCTIONAL = "functional:"
SETTINGS = Path(__file__).parents[2] / ".dagster" / "dagster.yaml"
_LOOP = "while True: pass"


class RunFailed(RuntimeError):
    """The command gave no report."""


def run_light(target: Path, *, busy: bool, on_functional: Callable[[], None]) -> str:
    """`report.json` of the six test phases less load and chaos. `on_functional` is called, in a thread
    of its own, when the functional phase begins.

    Raises RunFailed."""
    with tempfile.TemporaryDirectory(prefix="detection-run-") as folder, _busy(BUSY_LOOPS if busy else 0):
        home = Path(folder) / "dagster"
        home.mkdir()
        shutil.copy(SETTINGS, home / "dagster.yaml")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOKUSAI")}
        own = {"DAGSTER_HOME": str(home), "HOKUSAI_RESULTS": str(Path(folder) / "results")}
        with (Path(folder) / "report.json").open("w+") as report:
            process = subprocess.Popen(
                [*COMMAND, str(target), "--no-load", "--no-chaos", "--json"],
                cwd=folder,
                env={**kept, **own, PARENT_VARIABLE: str(os.getpid())},
                stdout=report,
                stderr=subprocess.PIPE,
                text=True,
            )
            words = _watched(process, on_functional)
            report.seek(0)
            text = report.read()
        if not text.strip():
            raise RunFailed(f"The run gave no report: {' | '.join(words[-3:])[:600]}")
        json.loads(text)
        return text


def _watched(process: "subprocess.Popen[str]", on_functional: Callable[[], None]) -> Sequence[str]:
    """Read what it says to its end."""
    killer = threading.Timer(LIMIT_S, process.kill)
    killer.start()
    words: list[str] = []
    try:
        assert process.stderr is not None
        for line in process.stderr:
            words.append(line.strip())
            if line.startswith(FUNCTIONAL):
                threading.Thread(target=on_functional, daemon=True).start()
        process.wait()
    finally:
        killer.cancel()
        process.kill()
        process.wait()
    return words


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Loops that use up processor time."""
    loops = [subprocess.Popen([sys.executable, "-I", "-S", "-c", _LOOP]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def wait(event: threading.Event, seconds: float) -> bool:
    """Whether the event came in time; ends early when it does."""
    end = time.monotonic() + seconds
    while not event.is_set() and time.monotonic() < end:
        event.wait(0.1)
    return event.is_set()
