"""The least of an HTTP server for the sandbox's own JSON interfaces (control agent, balancer)."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

LIMIT_BYTES = 1024 * 1024
IDLE_S = 60.0
REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
}
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """A request with a JSON body (None when it has none). `parts` is the path split at `/`."""

    method: str
    parts: tuple[str, ...]
    headers: dict[str, str]
    json: Any


class Refused(Exception):
    """The answer is this status with this sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


Handler = Callable[[Request], Awaitable[Any]]


async def serve(host: str, port: int, handler: Handler) -> asyncio.Server:
    """Serve until the returned server is closed. What the handler returns is the answer's JSON."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await _one(reader, writer, handler):
                pass
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(connected, host, port, limit=LIMIT_BYTES, reuse_address=True)


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> bool:
    async with asyncio.timeout(IDLE_S):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    keep = headers.get("connection", "").lower() != "close"
    if length > LIMIT_BYTES or "transfer-encoding" in headers:
        await _answer(writer, 413, {"detail": "The body is too large, or chunked."}, keep=False)
        return False
    body = await asyncio.wait_for(reader.readexactly(length), IDLE_S) if length else b""
    status, answer = await _handled(method, target, headers, body, handler)
    await _answer(writer, status, answer, keep=keep)
    return keep


async def _handled(
    method: str, target: str, headers: dict[str, str], body: bytes, handler: Handler
) -> tuple[int, Any]:
    parts = tuple(unquote(part) for part in urlsplit(target).path.split("/") if part)
    try:
        value = json.loads(body) if body.strip() else None
        return 200, await handler(Request(method, parts, headers, value))
    except Refused as error:
        return error.status, {"detail": str(error)}
    except (ValueError, TypeError, KeyError) as error:
        return 400, {"detail": f"The request is not usable: {type(error).__name__}: {error}"}
    except Exception as error:
        logger.exception("%s %s failed", method, target)
        return 500, {"detail": f"{type(error).__name__}: {error}"}


async def _answer(writer: asyncio.StreamWriter, status: int, value: Any, *, keep: bool) -> None:
    body = json.dumps(value).encode()
    lines = [
        f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"Connection: {'keep-alive' if keep else 'close'}",
    ]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    with contextlib.suppress(OSError):
        await writer.drain()
