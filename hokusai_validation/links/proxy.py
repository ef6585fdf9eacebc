"""One link: a listener, the connections through it, and what is wrong with them."""

import asyncio
import contextlib
import random
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from hokusai_validation.links.config import ProxyConfig, split_address
from hokusai_validation.links.connection import Connection, Side
from hokusai_validation.links.listener import Listener, Mode
from hokusai_validation.links.toxics import Toxic

if TYPE_CHECKING:
    from pydantic import JsonValue

MAX_CONNECTIONS = 4096
UPSTREAM_CHECK_S = 0.1
UPSTREAM_CHECK_LIMIT_S = 1.0


@dataclass
class Counters:
    """Since the program's start: `accepted` connections, those that the upstream `refused`, those
    now `open`, those that were `reset` on purpose, bytes to and from the upstream."""

    accepted: int = 0
    refused: int = 0
    open: int = 0
    reset: int = 0
    bytes_up: int = 0
    bytes_down: int = 0


class Proxy:
    """A link. Its listener follows from what is set: `enabled`, the toxics, and whether anything
    listens upstream; `settle` brings it there."""

    def __init__(self, config: ProxyConfig) -> None:
        self.name = config.name
        self.upstream = config.upstream
        self.mirror = config.mirror
        self.enabled = config.enabled
        self.disabled_by: str | None = None  # the lease under which it is cut
        self.counters = Counters()
        self.toxics: dict[str, Toxic] = {}
        self.connections: set[Connection] = set()
        self.upstream_down = False
        self._watch: asyncio.Task[None] | None = None
        self._settling = asyncio.Lock()
        self._listener = Listener(config.listen, self._client)

    @property
    def listen(self) -> str:
        """The address that clients connect to."""
        return self._listener.address

    def describe(self) -> "dict[str, JsonValue]":
        """As Toxiproxy's API shows it, with counters."""
        shown: dict[str, JsonValue] = {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": [toxic.describe() for toxic in self.toxics.values()],
            "counters": asdict(self.counters),
            "upstream_down": self.upstream_down,
        }
        return shown | ({"lease": self.disabled_by} if self.disabled_by else {})

    async def settle(self) -> None:
        """Bring the listener into the mode that follows from what is set.

        Raises PortTaken."""
        async with self._settling:
            await self._listener.change(self._mode())

    async def enable(self) -> None:
        """Accept connections. Raises PortTaken."""
        self.enabled, self.disabled_by = True, None
        await self.settle()

    async def disable(self, lease: str | None = None) -> None:
        """Cut the link: what is there breaks, what comes is refused."""
        self.enabled, self.disabled_by = False, lease
        await self.settle()
        self._drop()

    async def move(self, listen: str, upstream: str) -> None:
        """Change the addresses; connections are dropped.

        Raises PortTaken, and then the old ones hold."""
        if listen != self.listen:
            listener = Listener(listen, self._client)
            self._listener.close()
            self._listener = listener
        self.upstream = upstream
        self.upstream_down = False
        self._drop()
        await self.settle()

    async def add(self, toxic: Toxic) -> None:
        """Put a toxic on, for new connections and those that are there."""
        self.toxics[toxic.name] = toxic
        await self.settle()
        for connection in tuple(self.connections):
            self._give(connection, toxic)

    async def remove(self, name: str) -> None:
        """Take a toxic off."""
        toxic = self.toxics.pop(name)
        toxic.removed.set()
        for connection in tuple(self.connections):
            if toxic in connection.toxics:
                connection.set_toxics([other for other in connection.toxics if other is not toxic])
                toxic.detach(connection)
        await self.settle()

    async def clean(self) -> None:
        """Take everything off and accept connections. Raises PortTaken."""
        for name in tuple(self.toxics):
            await self.remove(name)
        await self.enable()

    async def close(self) -> None:
        """End the link and give its port back."""
        if self._watch is not None:
            self._watch.cancel()
        for toxic in self.toxics.values():
            toxic.removed.set()
        self._listener.close()
        self._drop()

    def admit(self, connection: Connection) -> bool:
        """Called for each accepted client; False has it reset."""
        self.counters.accepted += 1
        if not self.enabled or len(self.connections) >= MAX_CONNECTIONS:
            return False
        self.connections.add(connection)
        self.counters.open = len(self.connections)
        if not all(toxic.admit() for toxic in self.toxics.values()):
            return False
        for toxic in self.toxics.values():
            self._give(connection, toxic)
        return True

    def forget(self, connection: Connection) -> None:
        """Called when a connection has ended."""
        self.connections.discard(connection)
        self.counters.open = len(self.connections)

    def upstream_lost(self) -> None:
        """The upstream refused or ended a connection: look whether anything still listens there."""
        if self.mirror and self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._watch_upstream())
            self._watch.add_done_callback(self._watch_ended)

    def _watch_ended(self, task: "asyncio.Task[None]") -> None:
        self._watch = None
        if not task.cancelled():
            task.exception()

    async def _watch_upstream(self) -> None:
        while True:
            self.upstream_down = await self._upstream_refuses()
            await self.settle()
            await asyncio.sleep(UPSTREAM_CHECK_S)
            if not self.upstream_down:
                return

    async def _upstream_refuses(self) -> bool:
        host, port = split_address(self.upstream)
        try:
            async with asyncio.timeout(UPSTREAM_CHECK_LIMIT_S):
                _, writer = await asyncio.open_connection(host, port)
        except ConnectionRefusedError:
            return True
        except (OSError, TimeoutError):
            return False  # not a dead process: let clients see what it is
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return False

    def _mode(self) -> Mode:
        if not self.enabled:
            return Mode.REFUSING
        if any(toxic.fills_backlog for toxic in self.toxics.values()):
            return Mode.FULL
        return Mode.REFUSING if self.upstream_down else Mode.OPEN

    def _give(self, connection: Connection, toxic: Toxic) -> None:
        if connection.closed or toxic in connection.toxics:
            return
        if toxic.toxicity >= 1 or random.random() < toxic.toxicity:  # noqa: S311
            connection.set_toxics([*connection.toxics, toxic])
            toxic.attach(connection)

    def _drop(self) -> None:
        for connection in tuple(self.connections):
            connection.reset()

    def _client(self) -> Side:
        return Connection(self).client
