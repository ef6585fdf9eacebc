"""The cases from public reports as draws."""

import tomllib
from pathlib import Path
from typing import Any

from benchmarks.detection.model import Draw, Fault

FILE = Path(__file__).with_name("cases.toml")


def cases() -> tuple[Draw, ...]:
    """All of them, in the file's order."""
    return tuple(_case(item) for item in tomllib.loads(FILE.read_text(encoding="utf-8"))["case"])


def _case(item: dict[str, Any]) -> Draw:
    expected = item.get("expected", [])
    once = item.get("once")
    name = item["id"]
    if once is None:
        return Draw(
            id=name,
            case=name,
            scenario=item["scenario"],
            expects=expected,
            busy=item.get("busy", False),
        )
    fault = Fault(id=name, kind=expected[0]["cause"], duty="once", expected=expected, **once)
    return Draw(id=name, case=name, faults=(fault,), busy=item.get("busy", False))
