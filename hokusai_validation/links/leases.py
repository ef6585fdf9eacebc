"""Who holds a fault says so again and again; when it falls silent, the fault is undone."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import JsonValue


MAX_LEASE_S = 3600.0
MAX_LEASES = 1000


class LeaseInvalid(ValueError):
    """A lease without a usable id or length, or one too many."""


class Leases:
    """Leases by their id. `undo` is called once for each that ends, by its holder or by itself."""

    def __init__(self, undo: Callable[[str], Awaitable[None]]) -> None:
        self._undo = undo
        self._ends: dict[str, tuple[float, asyncio.TimerHandle]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def hold(self, lease: object, seconds: object) -> "dict[str, JsonValue]":
        """Make or renew a lease.

        Raises LeaseInvalid."""
        if not isinstance(lease, str) or not 0 < len(lease) <= 200 or "/" in lease:
            raise LeaseInvalid(f"a lease's id must be text without '/', not {lease!r}")
        if (
            isinstance(seconds, bool)
            or not isinstance(seconds, int | float)
            or not 0 < seconds <= MAX_LEASE_S
        ):
            raise LeaseInvalid(f"a lease's seconds must lie between 0 and {MAX_LEASE_S:g}, not {seconds!r}")
        if lease not in self._ends and len(self._ends) >= MAX_LEASES:
            raise LeaseInvalid(f"there are {MAX_LEASES} leases already")
        self._forget(lease)
        timer = asyncio.get_running_loop().call_later(seconds, self._expire, lease)
        self._ends[lease] = (time.monotonic() + seconds, timer)
        return {"id": lease, "seconds": seconds}

    def known(self, lease: str) -> bool:
        """Whether the lease is held."""
        return lease in self._ends

    async def end(self, lease: str) -> bool:
        """End a lease and undo what is under it. False when there was none."""
        if not self._forget(lease):
            return False
        await self._undo(lease)
        return True

    async def end_all(self) -> None:
        """End every lease."""
        for lease in tuple(self._ends):
            await self.end(lease)

    def describe(self) -> "list[JsonValue]":
        """Every lease with the seconds it has left."""
        now = time.monotonic()
        return [
            {"id": lease, "left_s": round(max(0.0, end - now), 3)} for lease, (end, _) in self._ends.items()
        ]

    def _forget(self, lease: str) -> bool:
        held = self._ends.pop(lease, None)
        if held is not None:
            held[1].cancel()
        return held is not None

    def _expire(self, lease: str) -> None:
        self._ends.pop(lease, None)
        task = asyncio.get_running_loop().create_task(_awaited(self._undo(lease)))
        self._running.add(task)
        task.add_done_callback(self._running.discard)


async def _awaited(undoing: Awaitable[None]) -> None:
    await undoing
