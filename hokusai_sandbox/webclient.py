"""The least of an HTTP client, for the supervisor's own questions on loopback."""

import asyncio
import contextlib
import json
import ssl
from typing import Any

LIMIT_BYTES = 4 * 1024 * 1024


async def fetch(
    address: str,
    path: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
    timeout_s: float = 2.0,
) -> tuple[int, bytes]:
    """Status and body of one request to `host:port`; `body` goes along as JSON.

    Raises OSError or TimeoutError when there is no answer, ValueError when it is no HTTP."""
    async with asyncio.timeout(timeout_s):
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(
            host, int(port), ssl=tls, server_hostname=server_name if tls else None, limit=LIMIT_BYTES
        )
        try:
            lines = [f"{method} {path} HTTP/1.1", f"Host: {server_name or address}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
            lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status = int(head.split(" ", 2)[1])
            length = [
                int(line.split(":", 1)[1])
                for line in head.split("\r\n")
                if line.lower().startswith("content-length:")
            ]
            answer = await (reader.readexactly(length[0]) if length else reader.read(LIMIT_BYTES))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError) as error:
            raise ValueError(f"{method} {address}{path}: no usable answer ({error})") from None
        finally:
            # Not closed first: Python before 3.11.5 can't abort what the other side has closed by then.
            with contextlib.suppress(OSError, ssl.SSLError):
                writer.transport.abort()
    return status, answer


async def fetch_json(address: str, path: str, **options: Any) -> Any:
    """The same, the body read as JSON.

    Raises also ValueError when the status is not 2xx or the body no JSON."""
    status, body = await fetch(address, path, **options)
    if status // 100 != 2:
        raise ValueError(f"{address}{path} answered {status}: {body[:200]!r}")
    return json.loads(body)


async def accepts(address: str) -> bool:
    """Whether something accepts connections there."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_connection(host, int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def answers(address: str, path: str, **options: Any) -> bool:
    """Whether it answers 2xx, or asks for a key: a scenario's gateway may do so even for probes."""
    try:
        status, _ = await fetch(address, path, **options)
    except (OSError, TimeoutError, ValueError):
        return False
    return status // 100 == 2 or status == 401
