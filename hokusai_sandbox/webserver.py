"""The sandbox's own JSON interface (the control agent's) over aiohttp: handlers get what was asked as plain values."""

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from aiohttp import web
from pydantic import JsonValue

LIMIT_BYTES = 1024 * 1024
IDLE_S = 60.0
CLOSE_LIMIT_S = 1.0  # for requests that are being answered
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """A request with a JSON body (None when it has none). `parts` is the path split at `/`, the headers' names
    are in lower case."""

    method: str
    parts: tuple[str, ...]
    headers: dict[str, str]
    json: Any


class Refused(Exception):
    """The answer is this status with this sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


Handler = Callable[[Request], Awaitable[JsonValue]]


async def serve(host: str, port: int, handler: Handler) -> web.AppRunner:
    """Serve until `cleanup()` of what is returned. What the handler returns is the answer's JSON."""

    async def answered(request: web.Request) -> web.Response:
        status, content = await _handled(request, handler)
        return web.json_response(content, status=status)

    application = web.Application(client_max_size=LIMIT_BYTES)
    application.router.add_route("*", "/{path:.*}", answered)
    runner = web.AppRunner(
        application, access_log=None, keepalive_timeout=IDLE_S, shutdown_timeout=CLOSE_LIMIT_S
    )
    await runner.setup()
    await web.TCPSite(runner, host, port, reuse_address=True).start()
    return runner


async def _handled(request: web.Request, handler: Handler) -> tuple[int, JsonValue]:
    parts = tuple(unquote(part) for part in urlsplit(request.raw_path).path.split("/") if part)
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        body = await request.read()
        value = json.loads(body) if body.strip() else None
        return 200, await handler(Request(request.method, parts, headers, value))
    except Refused as error:
        return error.status, {"detail": str(error)}
    except (ValueError, TypeError, KeyError) as error:
        return 400, {"detail": f"The request is not usable: {type(error).__name__}: {error}"}
    except web.HTTPException:
        raise
    except Exception as error:
        logger.exception("%s %s failed", request.method, request.raw_path)
        return 500, {"detail": f"{type(error).__name__}: {error}"}
