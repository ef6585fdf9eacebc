"""The supervisor's and the balancer's own questions on loopback, over aiohttp: one connection each."""

import asyncio
import json
import ssl
from typing import Any

import aiohttp
from yarl import URL

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

    Raises OSError or TimeoutError when there is no answer, ValueError when it is no HTTP or too long."""
    url = URL(f"{'https' if tls else 'http'}://{address}{path}", encoded=True)
    named = {"Host": server_name or address, "Content-Type": "application/json"}
    try:
        async with (
            asyncio.timeout(timeout_s),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
            session.request(
                method,
                url,
                headers=named | (headers or {}),
                data=body,
                ssl=True if tls is None else tls,
                server_hostname=server_name if tls else None,
                allow_redirects=False,
            ) as answer,
        ):
            received = bytearray()
            async for piece in answer.content.iter_any():
                received += piece
                if len(received) > LIMIT_BYTES:
                    raise ValueError(f"{method} {address}{path}: more than {LIMIT_BYTES} bytes")
            return answer.status, bytes(received)
    except aiohttp.ClientOSError:
        raise
    except aiohttp.ClientError as error:
        raise ValueError(f"{method} {address}{path}: no usable answer ({error!r})") from None


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
