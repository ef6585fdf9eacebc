"""A black hole: bytes vanish. After `timeout` ms the connection is closed; 0: never.

What vanished is gone, so a connection that lost bytes is reset when the toxic ends."""

import asyncio
from typing import TYPE_CHECKING

from hokusai_validation.links.toxics.base import Chunk, Send, Toxic

if TYPE_CHECKING:
    from hokusai_validation.links.connection import Connection, Stream


class Timeout(Toxic):
    type = "timeout"
    defaults = {"timeout": 0}  # noqa: RUF012
    shapes = True

    def attach(self, connection: "Connection") -> None:
        if self.attributes["timeout"]:
            loop = asyncio.get_running_loop()
            loop.call_later(self.attributes["timeout"] / 1000, self._expire, connection)

    def _expire(self, connection: "Connection") -> None:
        if not self.removed.is_set():
            connection.close()

    async def shape(self, chunk: Chunk, stream: "Stream", send: Send) -> None:
        stream.connection.damaged_by.add(self)

    async def at_end(self, stream: "Stream") -> None:
        await self.removed.wait()  # an end is a packet too
