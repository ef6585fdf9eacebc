"""At most `rate` KB (1,000 bytes) a second; 0 lets nothing through."""

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hokusai_validation.links.toxics.base import Chunk, Send, Toxic

if TYPE_CHECKING:
    from hokusai_validation.links.connection import Stream

SLICE_S = 0.02


class Bandwidth(Toxic):
    type = "bandwidth"
    defaults = {"rate": 0}  # noqa: RUF012
    shapes = True

    async def shape(self, chunk: Chunk, stream: "Stream", send: Send) -> None:
        loop = asyncio.get_running_loop()
        free_at = self._free_at()
        rest = chunk.data
        while rest and not self.removed.is_set():
            rate_bytes = self.attributes["rate"] * 1000
            if rate_bytes == 0:
                await self.wait_s(0.5)  # looks again: the rate may be changed meanwhile
                continue
            size = max(1, int(rate_bytes * SLICE_S))
            piece, rest = rest[:size], rest[size:]
            # The time that a piece takes counts from the end of the one before it, so that what
            # the timer rounds up is not lost.
            due = max(free_at.get(stream, 0.0), loop.time() - SLICE_S) + len(piece) / rate_bytes
            free_at[stream] = due
            await self.wait_s(due - loop.time())
            await send(Chunk(piece, loop.time()))
        if rest:
            await send(Chunk(rest, loop.time()))

    def _free_at(self) -> "WeakKeyDictionary[Stream, float]":
        if not hasattr(self, "_free"):
            self._free: WeakKeyDictionary[Stream, float] = WeakKeyDictionary()
        return self._free
