"""The end of a stream is passed on `delay` ms late."""

from typing import TYPE_CHECKING

from hokusai_validation.links.toxics.base import Toxic

if TYPE_CHECKING:
    from hokusai_validation.links.connection import Stream


class SlowClose(Toxic):
    type = "slow_close"
    defaults = {"delay": 0}  # noqa: RUF012
    shapes = True

    async def at_end(self, stream: "Stream") -> None:
        await self.wait_s(self.attributes["delay"] / 1000)
