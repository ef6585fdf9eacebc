"""Who holds a fault says so again and again; when it falls silent, the fault is undone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from hokusai_validation.links.lease_table import LeaseTable

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
        self._table = LeaseTable(self._expire)
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
        if lease not in self._table and len(self._table) >= MAX_LEASES:
            raise LeaseInvalid(f"there are {MAX_LEASES} leases already")
        self._table.renew(lease, seconds)
        return {"id": lease, "seconds": seconds}

    def known(self, lease: str) -> bool:
        """Whether the lease is held."""
        return lease in self._table

    async def end(self, lease: str) -> bool:
        """End a lease and undo what is under it. False when there was none."""
        if not self._table.drop(lease):
            return False
        await self._undo(lease)
        return True

    async def end_all(self) -> None:
        """End every lease."""
        for lease in self._table:
            await self.end(lease)

    def describe(self) -> "list[JsonValue]":
        """Every lease with the seconds it has left."""
        return [{"id": lease, "left_s": self._table.left_s(lease)} for lease in self._table]

    def _expire(self, lease: str) -> None:
        task = asyncio.get_running_loop().create_task(_awaited(self._undo(lease)))
        self._running.add(task)
        task.add_done_callback(self._running.discard)


async def _awaited(undoing: Awaitable[None]) -> None:
    await undoing
