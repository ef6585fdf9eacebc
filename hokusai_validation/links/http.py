"""A small HTTP/1.1 server for the API: bounded in size and time, JSON in and out.

Our own, because the program stands alone on any stack and must answer while it holds thousands of connections:
aiohttp would come with it for six routes."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

import httptools

if TYPE_CHECKING:
    from pydantic import JsonValue

BODY_LIMIT_BYTES = 1024 * 1024
IDLE_LIMIT_S = 60.0


@dataclass(frozen=True)
class Request:
    """What was asked. `path` is split at its slashes, percent-decoded; `body` is parsed JSON, None
    when there was none."""

    method: str
    path: tuple[str, ...]
    body: "JsonValue"


@dataclass(frozen=True)
class Response:
    """What is answered; a body of None is no body."""

    status: int
    body: "JsonValue" = None


class HttpError(Exception):
    """Ends a request with a status and Toxiproxy's error form."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


Handler = Callable[[Request], Awaitable[Response]]


class HttpProtocol(asyncio.Protocol):
    """One client of the API. Requests of a connection are answered one after the other."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._agent = b""
        self._body: list[bytes] = []
        self._size = 0
        self._answering: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle is not None:
            self._idle.cancel()

    def data_received(self, data: bytes) -> None:
        self._rest()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "bad request: upgrades are not supported")
        except httptools.HttpParserError as error:
            cause = error.__context__  # what one of our callbacks raised
            status = cause.status if isinstance(cause, HttpError) else 400
            self._refuse(status, str(cause if isinstance(cause, HttpError) else error) or "bad request")

    # Called by the parser.

    def on_message_begin(self) -> None:
        self._url, self._agent, self._body, self._size = b"", b"", [], 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        if len(self._url) > 8192:
            raise HttpError(414, "the address is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"user-agent":
            self._agent = value

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > BODY_LIMIT_BYTES:
            raise HttpError(413, f"the body is longer than {BODY_LIMIT_BYTES} bytes")
        self._body.append(body)

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode("ascii")
        keep = self._parser.should_keep_alive()
        arguments = (method, self._url, self._agent, b"".join(self._body), keep, self._answering)
        self._answering = asyncio.get_running_loop().create_task(self._answer(*arguments))

    async def _answer(
        self,
        method: str,
        url: bytes,
        agent: bytes,
        body: bytes,
        keep: bool,
        before: "asyncio.Task[None] | None",
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            # A page in a browser must not be able to cut links on this machine.
            if agent.startswith(b"Mozilla/"):
                raise HttpError(403, "User agent not allowed")
            response = await self._handler(_request(method, url, body))
        except HttpError as error:
            response = Response(error.status, {"error": str(error), "status": error.status})
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            response = Response(500, {"error": text, "status": 500})
        self._send(response, keep)

    def _send(self, response: Response, keep: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        content = b"" if response.body is None else json.dumps(response.body).encode()
        head = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
        if response.status != 204:
            head += ["content-type: application/json", f"content-length: {len(content)}"]
        if not keep:
            head.append("connection: close")
        self._transport.write("\r\n".join([*head, "", ""]).encode("ascii") + content)
        if not keep:
            self._transport.close()

    def _refuse(self, status: int, message: str) -> None:
        self._send(Response(status, {"error": message, "status": status}), keep=False)

    def _rest(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._transport is not None:
            self._idle = asyncio.get_running_loop().call_later(IDLE_LIMIT_S, self._transport.close)


def _request(method: str, url: bytes, body: bytes) -> Request:
    path = url.partition(b"?")[0].decode("latin-1")
    parts = tuple(unquote(part) for part in path.split("/") if part)
    if not body.strip():
        return Request(method, parts, None)
    try:
        return Request(method, parts, json.loads(body))
    except (ValueError, RecursionError) as error:
        raise HttpError(400, f"bad request body: {error}") from None
