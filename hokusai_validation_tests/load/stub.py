"""A real server that answers as the path says, rightly or wrongly; for tests of the engine."""

import asyncio
import ssl
import threading
from collections import Counter
from typing import Self
from urllib.parse import parse_qs, urlsplit

from hokusai_validation.load.plan import Origin

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Stub:
    """Runs in a thread; `seen` counts requests by path, `connections` what was accepted."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.seen: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        self.heads: list[bytes] = []
        self.connections = 0
        self.in_flight = self.most_in_flight = 0
        self.stalled = False
        self._tls = tls
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    @property
    def origin(self) -> Origin:
        return Origin("http", "127.0.0.1", self.port, ("127.0.0.1",))

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._client, "127.0.0.1", 0, ssl=self._tls)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            if self.stalled:
                writer.transport.abort()
                return
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                body = await reader.readexactly(length)
                target = head.split(b" ")[1].decode()
                self.seen[urlsplit(target).path] += 1
                self.heads.append(head)
                self.bodies.append(body)
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    go_on = await self._answer(target, writer)
                finally:
                    self.in_flight -= 1
                if not go_on:
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, target: str, writer: asyncio.StreamWriter) -> bool:
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        write, name = writer.write, parts.path.lstrip("/")
        if name == "ok":
            write(OK)
        elif name == "count":  # another body length each time
            body = b"x" * (self.seen["/count"] % 7)
            write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        elif name == "slow":
            await asyncio.sleep(float(query["s"]))
            write(OK)
        elif name == "status":
            write(b"HTTP/1.1 %b Some\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n" % query["code"].encode())
        elif name == "chunked":
            write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(3):
                write(b"5\r\nhello\r\n")
                await asyncio.sleep(0.001)
            write(b"0\r\n\r\n")
        elif name == "big":
            size = int(query["bytes"])
            write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // 65536):
                write(bytes(65536))
                await writer.drain()
            write(bytes(size % 65536))
        elif name == "close":
            write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            return False
        elif name == "to-the-end":
            write(b"HTTP/1.1 200 OK\r\n\r\nuntil the connection ends")
            return False
        elif name == "half":
            write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly so much")
            await writer.drain()
            return False
        elif name == "reset":
            writer.transport.abort()
            return False
        elif name == "garbage":
            write(b"220 this is no web server\r\n\r\n")
        elif name == "surplus":
            write(OK + b"and more")
        elif name == "twice":
            write(OK + OK)
        elif name == "continue":
            write(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
        elif name == "endless-head":
            write(b"HTTP/1.1 200 OK\r\n")
            while True:
                write(b"X-More: " + bytes(1000).replace(b"\0", b"y") + b"\r\n")
                await writer.drain()
        elif name == "empty":
            write(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif name == "hang":
            await asyncio.sleep(30)
        elif name == "drip":
            write(OK[:20])
            await asyncio.sleep(30)
        elif name == "then-close":  # keep-alive, but the server goes away while the client thinks
            write(OK)
            await writer.drain()
            await asyncio.sleep(float(query.get("s", "0.02")))
            return False
        else:
            write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return True
