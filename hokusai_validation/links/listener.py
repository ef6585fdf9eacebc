"""The listening socket of a link, which can also refuse, or let connections wait for ever."""

import asyncio
import socket
from collections.abc import Callable
from enum import StrEnum

from hokusai_validation.errors import PortTaken
from hokusai_validation.links.config import join_address, split_address

BACKLOG = 1024
# Linux queues one connection at a backlog of 0; the others only wait for the first to be answered.
FILLERS = 3


class Mode(StrEnum):
    """What a client that connects meets."""

    OPEN = "open"  # accepted
    REFUSING = "refusing"  # nothing listens
    FULL = "full"  # the backlog is full: no answer at all, as behind a closed security group


class Listener:
    """One address. The port stays ours in every mode: a bound socket that never listens keeps it."""

    def __init__(self, address: str, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        host, port = split_address(address)
        self._protocol = protocol
        try:
            self._family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._holder = self._bound((host, port))
        except OSError as error:
            raise PortTaken(
                f"Can't listen on {address}: {error.strerror or error}; choose another address."
            ) from None
        name = self._holder.getsockname()
        self._name: tuple[str, int] = (name[0], name[1])
        self.address = join_address(*self._name)
        self.mode = Mode.REFUSING
        self._server: asyncio.AbstractServer | None = None
        self._full: socket.socket | None = None
        self._fillers: list[socket.socket] = []

    async def change(self, mode: Mode) -> None:
        """Bring the address into a mode; established connections are not touched.

        Raises PortTaken when somebody else took the port meanwhile."""
        if mode is self.mode:
            return
        self._stop()
        try:
            if mode is Mode.OPEN:
                sock = self._bound(self._name)
                loop = asyncio.get_running_loop()
                self._server = await loop.create_server(self._protocol, sock=sock, backlog=BACKLOG)
            elif mode is Mode.FULL:
                self._fill()
        except OSError as error:
            self._stop()
            raise PortTaken(f"Can't listen on {self.address} again: {error.strerror or error}.") from None
        self.mode = mode

    def close(self) -> None:
        """Give the port back."""
        self._stop()
        self._holder.close()

    def _fill(self) -> None:
        self._full = self._bound(self._name)
        self._full.listen(0)
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._name[0], self._name[0])  # noqa: S104
        for _ in range(FILLERS):
            filler = socket.socket(self._family, socket.SOCK_STREAM)
            filler.setblocking(False)
            filler.connect_ex((host, self._name[1]))
            self._fillers.append(filler)

    def _stop(self) -> None:
        self.mode = Mode.REFUSING
        if self._server is not None:
            self._server.close()
            self._server = None
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        if self._full is not None:
            self._full.close()
            self._full = None

    def _bound(self, name: tuple[str, int]) -> socket.socket:
        sock = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setblocking(False)
            sock.bind(name)
        except OSError:
            sock.close()
            raise
        return sock
