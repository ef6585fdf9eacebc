"""Connections that are there are broken with RST, again every `every` ms (0: once); new ones work
until then. Not one of Toxiproxy's."""

import asyncio
from typing import TYPE_CHECKING

from hokusai_validation.links.toxics.base import Toxic

if TYPE_CHECKING:
    from hokusai_validation.links.connection import Connection


class ResetExisting(Toxic):
    type = "reset_existing"
    defaults = {"every": 0}  # noqa: RUF012

    def attach(self, connection: "Connection") -> None:
        if not hasattr(self, "_ticks"):
            self._existing: set[Connection] = set()
            self._ticks = asyncio.get_running_loop().create_task(self._run())
        self._existing.add(connection)

    def detach(self, connection: "Connection") -> None:
        self._existing.discard(connection)

    async def _run(self) -> None:
        while not self.removed.is_set():
            for connection in tuple(self._existing):
                connection.reset()
            self._existing.clear()
            if not self.attributes["every"]:
                await self.removed.wait()
            await self.wait_s(self.attributes["every"] / 1000)
