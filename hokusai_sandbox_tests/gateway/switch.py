"""A TCP link that a test can cut, hang and reset."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


class LoopThread:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, work: Callable[[], Value]) -> Value:
        """Run a function on the loop and wait for it."""

        async def run() -> Value:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(5)

    def close(self) -> None:
        """End the loop and all that runs on it."""

        async def end() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


class Switch:
    """Passes on, refuses, hangs or resets. `accepted` counts connections; `hang` accepts and never
    answers, for connections that are open too."""

    def __init__(self, loop: LoopThread, upstream: int) -> None:
        self._loop = loop
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.delay_s = 0.0
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._listener.close()
        self._open()

    def cut(self) -> None:
        """Refuse connections, and end those that are open."""

        def work() -> None:
            if self._server is not None:
                self._server.close()
                self._server = None
            self._break()

        self._loop.call(work)

    def restore(self) -> None:
        """Pass on again; what hung is broken, as a link that comes back does."""

        def work() -> None:
            if not self._flowing.is_set():
                self._flowing.set()
                self._break()

        self._loop.call(work)
        self.delay_s = 0.0
        if self._server is None:
            self._open()

    def hang(self) -> None:
        """Accept, and pass nothing on."""
        self._loop.call(self._flowing.clear)

    def reset(self) -> None:
        """Break every open connection with a reset."""
        self._loop.call(self._break)

    def close(self) -> None:
        """End it."""
        self._loop.call(self._flowing.set)
        self.cut()

    def _open(self) -> None:
        async def start() -> asyncio.Server:
            return await asyncio.start_server(self._serve, "127.0.0.1", self.port)

        self._server = asyncio.run_coroutine_threadsafe(start(), self._loop.loop).result(5)

    def _break(self) -> None:
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        try:
            await self._flowing.wait()
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(up_writer)
        await asyncio.gather(self._pass(reader, up_writer), self._pass(up_reader, writer))
        self._writers -= {writer, up_writer}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(64 * 1024):
                await self._flowing.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
