"""Faults that undo themselves: what is put on under a lease comes off when the lease ends, whether
by word or because nobody renewed it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import JsonValue

MAX_SECONDS = 600.0


@dataclass
class _Lease:
    seconds: float
    timer: asyncio.TimerHandle
    undo: dict[str, Callable[[], None]] = field(default_factory=dict)


class Leases:
    """By id. Runs in one event loop."""

    def __init__(self) -> None:
        self._leases: dict[str, _Lease] = {}

    def renew(self, lease: str, seconds: float) -> None:
        """Make a lease, or count it from now again.

        Raises ValueError when the time is not sensible."""
        if not 0 < seconds <= MAX_SECONDS:
            raise ValueError(f"A lease lasts more than 0 and at most {MAX_SECONDS:g} s, not {seconds!r}")
        timer = asyncio.get_running_loop().call_later(seconds, self.end, lease)
        held = self._leases.get(lease)
        if held is None:
            self._leases[lease] = _Lease(seconds, timer)
        else:
            held.timer.cancel()
            held.timer, held.seconds = timer, seconds

    def holds(self, lease: str) -> bool:
        """Whether it is alive."""
        return lease in self._leases

    def add(self, lease: str, name: str, undo: Callable[[], None]) -> None:
        """Undo this when the lease ends; the same name again replaces nothing and adds nothing.

        Raises KeyError when there is no such lease."""
        self._leases[lease].undo.setdefault(name, undo)

    def forget(self, name: str) -> None:
        """The fault of this name was undone by word."""
        for held in self._leases.values():
            held.undo.pop(name, None)

    def end(self, lease: str) -> bool:
        """End a lease: its faults are undone, newest first. False when there is none."""
        held = self._leases.pop(lease, None)
        if held is None:
            return False
        held.timer.cancel()
        for undo in reversed(list(held.undo.values())):
            undo()
        return True

    def end_all(self) -> None:
        """End every lease."""
        for lease in list(self._leases):
            self.end(lease)

    def listed(self) -> list[dict[str, JsonValue]]:
        """For the interface: each with its remaining time and what stands under it."""
        now = asyncio.get_running_loop().time()
        return [
            {
                "id": lease,
                "seconds": held.seconds,
                "remaining_s": round(max(0.0, held.timer.when() - now), 3),
                "faults": list(held.undo),
            }
            for lease, held in self._leases.items()
        ]
