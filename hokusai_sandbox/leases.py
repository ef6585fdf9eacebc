"""Faults that undo themselves: what is put on under a lease comes off when the lease ends, whether
by word or because nobody renewed it."""

from collections.abc import Callable

from pydantic import JsonValue

from hokusai_validation.links.lease_table import LeaseTable

MAX_SECONDS = 600.0


class Leases:
    """By id, each with what stands under it. Runs in one event loop."""

    def __init__(self) -> None:
        self._table = LeaseTable(self._undo)
        self._seconds: dict[str, float] = {}
        self._faults: dict[str, dict[str, Callable[[], None]]] = {}

    def renew(self, lease: str, seconds: float) -> None:
        """Make a lease, or count it from now again.

        Raises ValueError when the time is not sensible."""
        if not 0 < seconds <= MAX_SECONDS:
            raise ValueError(f"A lease lasts more than 0 and at most {MAX_SECONDS:g} s, not {seconds!r}")
        self._table.renew(lease, seconds)
        self._seconds[lease] = seconds
        self._faults.setdefault(lease, {})

    def holds(self, lease: str) -> bool:
        """Whether it is alive."""
        return lease in self._table

    def add(self, lease: str, name: str, undo: Callable[[], None]) -> None:
        """Undo this when the lease ends; the same name again replaces nothing and adds nothing.

        Raises KeyError when there is no such lease."""
        self._faults[lease].setdefault(name, undo)

    def forget(self, name: str) -> None:
        """The fault of this name was undone by word."""
        for faults in self._faults.values():
            faults.pop(name, None)

    def end(self, lease: str) -> bool:
        """End a lease: its faults are undone, newest first. False when there is none."""
        held = self._table.drop(lease)
        if held:
            self._undo(lease)
        return held

    def end_all(self) -> None:
        """End every lease."""
        for lease in self._table:
            self.end(lease)

    def listed(self) -> list[dict[str, JsonValue]]:
        """For the interface: each with its remaining time and what stands under it."""
        return [
            {
                "id": lease,
                "seconds": self._seconds[lease],
                "remaining_s": self._table.left_s(lease),
                "faults": list[JsonValue](self._faults[lease]),
            }
            for lease in self._table
        ]

    def _undo(self, lease: str) -> None:
        del self._seconds[lease]
        for undo in reversed(self._faults.pop(lease).values()):
            undo()
