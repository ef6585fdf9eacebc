"""Chunks go on in small pieces of `average_size` ± `size_variation` bytes, `delay` µs apart."""

import asyncio
import random
from typing import TYPE_CHECKING

from hokusai_validation.links.toxics.base import Chunk, Send, Toxic

if TYPE_CHECKING:
    from hokusai_validation.links.connection import Stream


class Slicer(Toxic):
    type = "slicer"
    defaults = {"average_size": 0, "size_variation": 0, "delay": 0}  # noqa: RUF012
    shapes = True

    async def shape(self, chunk: Chunk, stream: "Stream", send: Send) -> None:
        rest = chunk.data
        while rest and not self.removed.is_set():
            variation = self.attributes["size_variation"]
            size = self.attributes["average_size"] + random.randint(-variation, variation)  # noqa: S311
            if self.attributes["average_size"] == 0:
                break
            piece, rest = rest[: max(1, size)], rest[max(1, size) :]
            await send(Chunk(piece, asyncio.get_running_loop().time()))
            if rest:
                await self.wait_s(self.attributes["delay"] / 1_000_000)
        if rest:
            await send(Chunk(rest, asyncio.get_running_loop().time()))
