"""Every chunk is replaced by as many bytes of nonsense; none of them is ASCII, so no protocol takes
it for its own. Not one of Toxiproxy's."""

import random
from typing import TYPE_CHECKING

from hokusai_validation.links.toxics.base import Chunk, Send, Toxic

if TYPE_CHECKING:
    from hokusai_validation.links.connection import Stream

_HIGH_BIT = bytes(range(128, 256)) * 2


class Garbage(Toxic):
    type = "garbage"
    defaults = {"seed": 0}  # noqa: RUF012
    shapes = True

    async def shape(self, chunk: Chunk, stream: "Stream", send: Send) -> None:
        stream.connection.damaged_by.add(self)
        noise = random.Random(self.attributes["seed"]).randbytes(len(chunk.data)).translate(_HIGH_BIT)  # noqa: S311
        await send(Chunk(noise, chunk.at))
