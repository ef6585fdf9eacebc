"""A connection on which nothing came for `idle` ms is reset when its next bytes come: a server that
closes idle connections sooner than its client expects. Not one of Toxiproxy's."""

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hokusai_validation.links.toxics.base import Chunk, Send, Toxic

if TYPE_CHECKING:
    from hokusai_validation.links.connection import Connection, Stream


class ResetIdle(Toxic):
    type = "reset_idle"
    defaults = {"idle": 1000}  # noqa: RUF012
    shapes = True

    async def shape(self, chunk: Chunk, stream: "Stream", send: Send) -> None:
        now = asyncio.get_running_loop().time()
        last = self._last.get(stream.connection, now)
        self._last[stream.connection] = now
        if now - last >= self.attributes["idle"] / 1000:
            stream.connection.reset()
            return
        await send(chunk)

    @property
    def _last(self) -> "WeakKeyDictionary[Connection, float]":
        """When bytes came last, by connection."""
        found: WeakKeyDictionary[Connection, float] = self.__dict__.setdefault("_times", WeakKeyDictionary())
        return found
