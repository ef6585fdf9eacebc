"""The link program as a process, and small servers to put behind its links."""

import contextlib
import json
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hokusai_validation.resources.http import Answer, HttpClient

STARTS_WITHIN_S = 20.0


class LinkProgram:
    """`python -m hokusai_validation.links` with some links, until the block ends."""

    def __init__(self, folder: Path, links: Sequence[Mapping[str, Any]], api: str = "127.0.0.1:0") -> None:
        config = folder / "links.json"
        config.write_text(json.dumps(list(links)), encoding="utf-8")
        words = [sys.executable, "-m", "hokusai_validation.links", "--config", str(config), "--api", api]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], STARTS_WITHIN_S)
        line = self.process.stdout.readline() if ready else ""
        if not line.startswith("links: API on "):
            self.end()
            raise AssertionError(f"the link program did not start: {line}{self.process.stdout.read()}")
        self.url = line.split()[-1]
        self.client = HttpClient(self.url, timeout_s=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self.end()

    def end(self) -> int:
        """End it in good order, or hard."""
        self.process.terminate()
        try:
            return self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """One request to the API."""
        return self.client.request(method, path, json=body)

    def show(self, name: str = "link") -> dict[str, Any]:
        """A link as the API shows it."""
        shown: dict[str, Any] = self.call("GET", f"/proxies/{name}").json()
        return shown

    def address(self, name: str = "link") -> tuple[str, int]:
        """Where a link listens."""
        host, _, port = self.show(name)["listen"].rpartition(":")
        return host, int(port)

    def add(self, kind: str, name: str = "link", **values: Any) -> str:
        """Put a toxic on a link; its name."""
        stream = values.pop("stream", "downstream")
        body = {"type": kind, "stream": stream, "attributes": values}
        answer = self.call("POST", f"/proxies/{name}/toxics", body)
        assert answer.status == 200, answer.text
        return str(answer.json()["name"])

    def remove(self, toxic: str, name: str = "link") -> None:
        """Take it off."""
        assert self.call("DELETE", f"/proxies/{name}/toxics/{toxic}").status == 204


class Upstream:
    """A server on a thread of its own for each connection. `serve` gets the socket."""

    def __init__(self, serve: Callable[[socket.socket], None] | None = None) -> None:
        self._serve = serve or echo
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        self.accepted = 0
        self.ended = 0
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Stop listening and break what is there, as a killed process does."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def start_again(self) -> None:
        """Listen on the same port again."""
        self._listening = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        listening = self._listening
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            self.connections.append(connection)
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self._serve(connection)
        self.ended += 1


def echo(connection: socket.socket) -> None:
    """Send back whatever comes, and the end too."""
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def http(connection: socket.socket) -> None:
    """Answer every HTTP request with the same 200."""
    body = b'{"status": "ok"}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    kept = b""
    while data := connection.recv(65536):
        kept += data
        while b"\r\n\r\n" in kept:
            _, _, kept = kept.partition(b"\r\n\r\n")
            connection.sendall(head + body)


@contextlib.contextmanager
def upstream(serve: Callable[[socket.socket], None] | None = None) -> Iterator[Upstream]:
    """A server until the block ends."""
    server = Upstream(serve)
    try:
        yield server
    finally:
        server.stop()


def until(holds: Callable[[], bool], limit_s: float = 5.0) -> bool:
    """Wait for a state."""
    deadline = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def client(address: tuple[str, int], timeout_s: float = 2.0) -> socket.socket:
    """A connection."""
    connection = socket.create_connection(address, timeout=timeout_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_all(connection: socket.socket) -> bytes:
    """Everything until the end."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def fate(address: tuple[str, int], data: bytes = b"x") -> str:
    """How a new connection with one question goes: `served`, `reset` or `refused`."""
    try:
        with client(address) as connection:
            connection.sendall(data)
            return "served" if connection.recv(len(data)) else "closed"
    except ConnectionRefusedError:
        return "refused"
    except (ConnectionResetError, BrokenPipeError):
        return "reset"
