"""Draws with a name: the cases from public reports, and the sandbox's own scenarios."""

import tomllib
from pathlib import Path
from typing import Any

from benchmarks.detection.model import Draw, Fault

CASES = Path(__file__).with_name("cases.toml")
SCENARIOS = Path(__file__).with_name("scenarios.toml")


def read(path: Path) -> tuple[Draw, ...]:
    """All of a file, in its order."""
    return tuple(_case(item) for item in tomllib.loads(path.read_text(encoding="utf-8"))["case"])


def _case(item: dict[str, Any]) -> Draw:
    expected = item.get("expected", [])
    once = item.get("once")
    name = item["id"]
    faults: tuple[Fault, ...] = ()
    if once is not None:
        faults = (Fault(id=name, kind=expected[0]["cause"], duty="once", expected=expected, **once),)
    return Draw(
        id=name,
        case=name,
        scenario=item.get("scenario"),
        expects=() if faults else expected,
        faults=faults,
        busy=item.get("busy", False),
    )
