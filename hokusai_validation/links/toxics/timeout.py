"""A black hole: bytes vanish. After `timeout` ms the connection is closed; 0: never.

What vanished is gone, so a connection that lost bytes is reset when the toxic ends. Where nothing arrives
either way, the upstream is not left waiting meanwhile for what can't come: a server with few workers would
have them all taken, and a fault on one link would reach those who come by others."""

import asyncio
from typing import TYPE_CHECKING

from hokusai_validation.links.toxics.base import Chunk, Send, Toxic

if TYPE_CHECKING:
    from hokusai_validation.links.connection import Connection, Stream


class Timeout(Toxic):
    type = "timeout"
    defaults = {"timeout": 0}  # noqa: RUF012
    shapes = True
    swallows = True

    def attach(self, connection: "Connection") -> None:
        if connection.black and (connection.damaged_by or connection.up.ended):
            connection.orphan()
        if self.attributes["timeout"]:
            loop = asyncio.get_running_loop()
            loop.call_later(self.attributes["timeout"] / 1000, self._expire, connection)

    def _expire(self, connection: "Connection") -> None:
        if not self.removed.is_set():
            connection.close()

    async def shape(self, chunk: Chunk, stream: "Stream", send: Send) -> None:
        self._lost_of(stream.connection)

    async def at_end(self, stream: "Stream") -> None:
        """An end is a packet too."""
        if stream.connection.black:
            self._lost_of(stream.connection)
        await self.removed.wait()

    def _lost_of(self, connection: "Connection") -> None:
        connection.damaged_by.add(self)
        if connection.black:
            connection.orphan()
