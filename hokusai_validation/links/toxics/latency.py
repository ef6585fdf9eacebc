"""Every chunk arrives later: `latency` ± `jitter`, in ms. The order stays."""

import asyncio
import random
from typing import TYPE_CHECKING

from hokusai_validation.links.toxics.base import Chunk, Send, Toxic

if TYPE_CHECKING:
    from hokusai_validation.links.connection import Stream


class Latency(Toxic):
    type = "latency"
    defaults = {"latency": 0, "jitter": 0}  # noqa: RUF012 - a constant, typed in the base
    shapes = True

    async def shape(self, chunk: Chunk, stream: "Stream", send: Send) -> None:
        jitter = self.attributes["jitter"]
        delay_ms = self.attributes["latency"] + (random.uniform(-jitter, jitter) if jitter else 0)  # noqa: S311
        # Added to the chunk's own time, so that chunks on their way together are not delayed twice.
        chunk.at += max(0.0, delay_ms) / 1000
        await self.wait_s(chunk.at - asyncio.get_running_loop().time())
        await send(chunk)
