"""Faults of ours that could not be undone: what matters most to whoever reads a report.

A row says so in `evidence["not_undone"]`: a list of objects with `fault` (what was put on) and
`command` (what a person runs to take it off)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hokusai_validation.result import Result

KEY = "not_undone"


@dataclass(frozen=True)
class NotUndone:
    """One fault that may still be on, and how to take it off by hand."""

    fault: str
    command: str
    test: str

    def sentence(self) -> str:
        """What is on, and what to run."""
        return f"{self.fault} (undo it by hand: {self.command})" if self.command else self.fault


def faults_not_undone(rows: Iterable[Result]) -> tuple[NotUndone, ...]:
    """Every such fault that the rows (all attempts) name, once."""
    found: dict[tuple[str, str], NotUndone] = {}
    for row in rows:
        entries = row.evidence.get(KEY)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, Mapping):
                fault, command = str(entry.get("fault", "a fault")), str(entry.get("command", ""))
            else:
                fault, command = str(entry), ""
            found.setdefault((fault, command), NotUndone(fault, command, row.test))
    return tuple(found.values())
