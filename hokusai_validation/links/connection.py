"""One connection through a link: two sockets, a stream each way.

Without toxics a chunk goes straight from one socket to the other. A reader is paused while the
other side can't write, so memory is bounded; the end of one direction is passed on while the other
still runs (half-close), and a broken connection breaks the other side too, as a cable would.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from hokusai_validation.links.config import split_address
from hokusai_validation.links.toxics.base import Chunk, Toxic

if TYPE_CHECKING:
    from hokusai_validation.links.proxy import Proxy

CONNECT_LIMIT_S = 30.0
QUEUED_LIMIT_BYTES = 256 * 1024
_RESET = struct.pack("ii", 1, 0)  # linger 0: close() sends RST


class Side(asyncio.Protocol):
    """One socket of a connection."""

    def __init__(self, connection: "Connection", *, client: bool) -> None:
        self.connection = connection
        self.client = client
        self.transport: asyncio.Transport | None = None
        self.outgoing: Stream  # what is read here
        self.incoming: Stream  # what is written here

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self.client:
            self.connection.accepted()

    def data_received(self, data: bytes) -> None:
        self.outgoing.feed(data)

    def eof_received(self) -> bool:
        if not self.client and not self.connection.up.ended:
            self.connection.proxy.upstream_lost()  # it ended first: a dying process does
        self.outgoing.end()
        return True  # keep the other direction

    def pause_writing(self) -> None:
        self.incoming.hold("sink", True)

    def resume_writing(self) -> None:
        self.incoming.hold("sink", False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection.lost(self, exc)

    def abort(self) -> None:
        """Close at once with RST, whatever is still to be sent."""
        if self.transport is None or self.transport.is_closing():
            return
        with contextlib.suppress(OSError, AttributeError):
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def close(self) -> None:
        """Close once everything is sent."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

    def leave(self) -> None:
        """Close without waiting for anything that is still to be sent."""
        if self.transport is not None and self.transport.get_write_buffer_size():
            self.abort()
        else:
            self.close()


class Stream:
    """One direction. `name` is Toxiproxy's: `upstream` from client to server, `downstream` back."""

    def __init__(self, connection: "Connection", name: str, source: Side, sink: Side) -> None:
        self.connection = connection
        self.name = name
        self.source = source
        self.sink = sink
        self.shapers: tuple[Toxic, ...] = ()
        self.ended = False  # the source has said all
        self.passed_end = False  # and the sink was told
        self.ready = False  # the sink is connected; until then what comes is kept
        self._queue: deque[Chunk] = deque()
        self._queued_bytes = 0
        self._pump: asyncio.Task[None] | None = None
        self._held: set[str] = set()
        self._count = connection.proxy.counters

    def feed(self, data: bytes) -> None:
        """Take a chunk from the source."""
        if self.name == "upstream":
            self._count.bytes_up += len(data)
        else:
            self._count.bytes_down += len(data)
        if self.ready and not self.shapers and self._pump is None:
            self.write(data)
            return
        self._queue.append(Chunk(data, asyncio.get_running_loop().time()))
        self._queued_bytes += len(data)
        if self._queued_bytes > QUEUED_LIMIT_BYTES:
            self.hold("queue", True)
        if self.ready:
            self._start_pump()

    def end(self) -> None:
        """The source has said all."""
        self.ended = True
        if self.ready:
            self._go_on()

    def connected(self) -> None:
        """The sink is there, or will never be: go on with what was kept."""
        if not self.ready:
            self.ready = True
            if self._queue or self.ended:
                self._go_on()

    def write(self, data: bytes) -> None:
        """Give bytes to the sink."""
        transport = self.sink.transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    def hold(self, why: str, held: bool) -> None:
        """Stop or go on reading from the source; it reads while nobody holds it."""
        before = bool(self._held)
        (self._held.add if held else self._held.discard)(why)
        transport = self.source.transport
        if before == bool(self._held) or transport is None or transport.is_closing() or self.ended:
            return
        if self._held:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _go_on(self) -> None:
        if self.shapers or self._pump is not None:
            self._start_pump()
            return
        while self._queue:
            self.write(self._queue.popleft().data)
        self._queued_bytes = 0
        self.hold("queue", False)
        if self.ended:
            self._pass_end()

    def stop(self) -> None:
        """Forget what is queued."""
        if self._pump is not None:
            self._pump.cancel()
        self._queue.clear()

    def _start_pump(self) -> None:
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._run())
            self._pump.add_done_callback(self._pump_done)

    def _pump_done(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self.connection.reset()

    async def _run(self) -> None:
        while self._queue:
            chunk = self._queue.popleft()
            await self._shape(self.shapers, chunk)
            self._queued_bytes -= len(chunk.data)
            if self._queued_bytes <= QUEUED_LIMIT_BYTES // 2:
                self.hold("queue", False)
        if self.ended:
            for shaper in self.shapers:
                await shaper.at_end(self)
        self._pump = None
        if self.ended:
            self._pass_end()

    async def _shape(self, shapers: Sequence[Toxic], chunk: Chunk) -> None:
        if not shapers:
            self.write(chunk.data)
            return

        async def send(piece: Chunk) -> None:
            await self._shape(shapers[1:], piece)

        await shapers[0].shape(chunk, self, send)

    def _pass_end(self) -> None:
        if self.passed_end:
            return
        self.passed_end = True
        transport = self.sink.transport
        if transport is not None and not transport.is_closing() and transport.can_write_eof():
            with contextlib.suppress(OSError, RuntimeError):
                transport.write_eof()
        self.connection.direction_ended()


class Connection:
    """A client's connection and its counterpart to the upstream."""

    def __init__(self, proxy: "Proxy") -> None:
        self.proxy = proxy
        self.toxics: tuple[Toxic, ...] = ()
        self.damaged_by: set[Toxic] = set()  # whose removal must break it: bytes are gone or wrong
        self.closed = False
        self.orphaned = False
        self.client = Side(self, client=True)
        self.server = Side(self, client=False)
        self.up = Stream(self, "upstream", self.client, self.server)
        self.down = Stream(self, "downstream", self.server, self.client)
        self.client.outgoing, self.client.incoming = self.up, self.down
        self.server.outgoing, self.server.incoming = self.down, self.up
        self._opening: asyncio.Task[None] | None = None

    def accepted(self) -> None:
        """A client is there; connect to the upstream for it."""
        if not self.proxy.admit(self):
            self.reset()
            return
        self.down.ready = True
        if self.orphaned or self.black:
            self.up.connected()  # to nobody
        else:
            self._start_opening()

    @property
    def black(self) -> bool:
        """Whether nothing arrives either way."""
        swallowed = {toxic.stream for toxic in self.toxics if toxic.swallows}
        return {self.up.name, self.down.name} <= swallowed

    def _start_opening(self) -> None:
        self.up.ready = False
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        host, port = split_address(self.proxy.upstream)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await loop.create_connection(lambda: self.server, host, port)
        except (OSError, TimeoutError):
            self.proxy.counters.refused += 1
            self.proxy.upstream_lost()
            self._break()
            return
        if self.closed:
            self.server.abort()
            return
        self.up.connected()

    def set_toxics(self, toxics: Sequence[Toxic]) -> None:
        """Which toxics hold for this connection from now on."""
        self.toxics = tuple(toxics)
        for stream in (self.up, self.down):
            stream.shapers = tuple(t for t in toxics if t.shapes and t.stream == stream.name)
        waited = self.down.ready and self._opening is None and not (self.orphaned or self.closed)
        if waited and not self.damaged_by and not self.black:  # nobody was asked for it so far
            if self.up.ended:
                self.close()
            else:
                self._start_opening()

    def orphan(self) -> None:
        """End the upstream's side and leave the client's as if nothing had happened."""
        self.orphaned = True
        if self._opening is not None:
            self._opening.cancel()
        self.up.connected()
        self.server.leave()

    def direction_ended(self) -> None:
        """Called when an end was passed on; both ended closes the connection."""
        if self.up.passed_end and self.down.passed_end:
            self.close()

    def lost(self, side: Side, error: Exception | None) -> None:
        """A socket is gone."""
        if self.closed:
            self._finish_if_gone()
            return
        if side is self.server and self.orphaned:
            return
        if side is self.server:
            self.proxy.upstream_lost()
        if error is not None:
            self._break()
        else:
            self.close()

    def reset(self) -> None:
        """Break both sides with RST, and count it."""
        if not self.closed:
            self.proxy.counters.reset += 1
        self._break()

    def close(self) -> None:
        """Close both sides, sending first what was queued."""
        self._end()
        self.client.close()
        self.server.close()
        self._finish_if_gone()

    def _break(self) -> None:
        self._end()
        self.client.abort()
        self.server.abort()
        self._finish_if_gone()

    def _end(self) -> None:
        self.closed = True
        self.up.stop()
        self.down.stop()
        if self._opening is not None and self._opening is not asyncio.current_task():
            self._opening.cancel()

    def _finish_if_gone(self) -> None:
        self.proxy.forget(self)
