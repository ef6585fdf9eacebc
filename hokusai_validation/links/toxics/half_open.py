"""The upstream's host is gone without a word: its side of each connection is broken, the client's
stays open and silent, and new ones are accepted and never answered. Not one of Toxiproxy's.

When the toxic ends, the orphaned connections are reset, as a host that came back would do."""

from typing import TYPE_CHECKING

from hokusai_validation.links.toxics.base import Chunk, Send, Toxic

if TYPE_CHECKING:
    from hokusai_validation.links.connection import Connection, Stream


class HalfOpen(Toxic):
    type = "half_open"
    shapes = True

    def attach(self, connection: "Connection") -> None:
        connection.damaged_by.add(self)
        connection.orphan()

    async def shape(self, chunk: Chunk, stream: "Stream", send: Send) -> None:
        """Nobody is there to get it."""

    async def at_end(self, stream: "Stream") -> None:
        await self.removed.wait()
