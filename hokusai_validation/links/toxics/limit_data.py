"""A connection is closed once `bytes` bytes have gone through it in the stream's direction."""

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hokusai_validation.links.toxics.base import Chunk, Send, Toxic

if TYPE_CHECKING:
    from hokusai_validation.links.connection import Stream


class LimitData(Toxic):
    type = "limit_data"
    defaults = {"bytes": 0}  # noqa: RUF012
    shapes = True

    async def shape(self, chunk: Chunk, stream: "Stream", send: Send) -> None:
        if not hasattr(self, "_seen"):
            self._seen: WeakKeyDictionary[Stream, int] = WeakKeyDictionary()
        seen = self._seen.get(stream, 0)
        allowed = max(0, self.attributes["bytes"] - seen)
        self._seen[stream] = seen + len(chunk.data)
        if allowed:
            await send(Chunk(chunk.data[:allowed], chunk.at))
        if len(chunk.data) >= allowed:
            stream.connection.close()
