"""One whole light run: the suite of each phase as the phases start it, in their order, and the report
that its rows carry; with what must happen beside it."""

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hokusai_validation.diagnosis import assemble
from hokusai_validation.phase_rows import PhaseRows
from hokusai_validation.report import Report
from hokusai_validation.result import Phase, now
from hokusai_validation.runner.parentage import PARENT_VARIABLE
from hokusai_validation.store.record import read_file
from hokusai_validation.target import Target

COMMAND = (sys.executable, "-m", "hokusai_validation.run_test_suite")
LIGHT = tuple(phase for phase in Phase if phase not in (Phase.LOAD, Phase.CHAOS))
PHASE_LIMIT_S = 900.0
BUSY_LOOPS = 2
READING = "2"  # test processes for the tests that only read: as many as the phases start
_LOOP = "while True: pass"


class RunFailed(RuntimeError):
    """A phase gave no rows."""


def run_light(file: Path, target: Target, *, busy: bool, on_functional: Callable[[], None]) -> Report:
    """The report of the six test phases less load and chaos. `on_functional` is called when the
    functional phase begins, and must not wait.

    Raises RunFailed."""
    run_id, began = str(uuid.uuid4()), now()
    with tempfile.TemporaryDirectory(prefix="detection-run-") as folder, _busy(BUSY_LOOPS if busy else 0):
        phases = []
        for phase in LIGHT:
            if phase is Phase.FUNCTIONAL:
                on_functional()
            phases.append(_run(phase, file, run_id, folder))
    return assemble(
        run_id=run_id,
        target=target,
        phases=phases,
        started_at=began,
        finished_at=now(),
    )


def _run(phase: Phase, file: Path, run_id: str, folder: str) -> PhaseRows:
    rows = Path(folder) / f"{phase.value}.jsonl"
    options = [
        "--target",
        str(file),
        "--phase",
        phase.value,
        "--rows",
        str(rows),
        "--run-id",
        run_id,
        "-n",
        READING,
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOKUSAI")}
    with (Path(folder) / "output.txt").open("w+") as output:
        try:
            subprocess.run(
                [*COMMAND, *options],
                cwd=folder,
                env={**kept, PARENT_VARIABLE: str(os.getpid())},
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=PHASE_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RunFailed(f"Phase {phase.value} took longer than {PHASE_LIMIT_S:g} s.") from None
        found = read_file(rows)
        if not found.rows:
            output.seek(0)
            words = [line.strip() for line in output if line.strip()]
            raise RunFailed(f"Phase {phase.value} gave no rows: {' | '.join(words[-3:])[:600]}")
    return PhaseRows(
        phase=phase, run_id=run_id, results=found.rows, finished_at=now(), troubles=found.troubles
    )


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
