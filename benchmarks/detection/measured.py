"""Whether an operation left the range of the run without the fault. Pure but for starting `effect.py`."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from benchmarks.detection.model import Effect, Fault

PROGRAM = Path(__file__).with_name("effect.py")
LIMIT_S = 180.0
MARGIN_MS = 100.0  # what a busy machine adds by chance


class Seen(BaseModel):
    """What one operation did when it was asked `tries` times."""

    tries: int
    good: int
    latencies_ms: tuple[float, ...]
    said: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def median_ms(self) -> float:
        """Half of the tries took longer."""
        return sorted(self.latencies_ms)[len(self.latencies_ms) // 2]

    def __str__(self) -> str:
        what = "; ".join((*self.errors, *filter(None, self.said)))
        return f"{self.good}/{self.tries} good, {self.median_ms:.0f} ms" + (f" ({what})" if what else "")


def measure(folder: Path, operations: Sequence[str], tries: int = 8) -> dict[str, Seen]:
    """Ask the operations of the sandbox in `folder`.

    Raises RuntimeError when the program itself fails."""
    if not operations:
        return {}
    # Isolated: nothing of the product can be imported, not even by accident.
    command = [sys.executable, "-I", str(PROGRAM), str(folder), "--tries", str(tries), *operations]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"The effect could not be measured: {done.stderr[-400:]}")
    return {name: Seen.model_validate(values) for name, values in json.loads(done.stdout).items()}


def left_range(before: Seen, after: Seen) -> bool:
    """The outcome rate, what was answered, or the latency is no longer that of the clean run."""
    if after.good / after.tries < before.good / before.tries:
        return True
    if set(after.said) - set(before.said):
        return True
    return after.median_ms > max(before.latencies_ms) + MARGIN_MS


def effect(fault: Fault, before: Mapping[str, Seen], after: Mapping[str, Seen]) -> Effect:
    """What was seen of one fault."""
    changed = [name for name in fault.probes if left_range(before[name], after[name])]
    numbers = {name: f"{before[name]} -> {after[name]}" for name in fault.probes}
    return Effect(fault=fault.id, seen=bool(changed), numbers=numbers)
