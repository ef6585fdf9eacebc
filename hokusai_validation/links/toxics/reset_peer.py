"""Connections, those that are there and new ones, are broken with RST, after `timeout` ms."""

import asyncio
from typing import TYPE_CHECKING

from hokusai_validation.links.toxics.base import Toxic

if TYPE_CHECKING:
    from hokusai_validation.links.connection import Connection


class ResetPeer(Toxic):
    type = "reset_peer"
    defaults = {"timeout": 0}  # noqa: RUF012

    def attach(self, connection: "Connection") -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self.attributes["timeout"] / 1000, self._expire, connection)

    def _expire(self, connection: "Connection") -> None:
        if not self.removed.is_set():
            connection.reset()
