"""Faults of ours that could not be undone: what matters most to whoever reads a report.

A row says so in `evidence["orphaned_faults"]`: a list of objects with `fault` (what was put on) and
`command` (what a person runs to take it off)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hokusai_validation.result import Result

KEY = "orphaned_faults"
_KEYS = (KEY, "not_undone")  # the second: rows from before the name changed


@dataclass(frozen=True)
class OrphanedFault:
    """One fault that may still be on, and how to take it off by hand."""

    fault: str
    command: str
    test: str

    def sentence(self) -> str:
        """What is on, and what to run."""
        return f"{self.fault} (undo it by hand: {self.command})" if self.command else self.fault


def orphaned_faults(rows: Iterable[Result]) -> tuple[OrphanedFault, ...]:
    """Every such fault that the rows (all attempts) name, once."""
    faults: dict[tuple[str, str], OrphanedFault] = {}
    for row in rows:
        entries = [row.evidence.get(key) for key in _KEYS]
        for entry in (each for found in entries if isinstance(found, list) for each in found):
            if isinstance(entry, Mapping):
                fault, command = str(entry.get("fault", "a fault")), str(entry.get("command", ""))
            else:
                fault, command = str(entry), ""
            faults.setdefault((fault, command), OrphanedFault(fault, command, row.test))
    return tuple(faults.values())
