"""The proxy to MLflow: bodies stream both ways, memory stays bounded, every wait has an end.

While MLflow works, its time-out counts from the last piece that moved; a large upload gives it
more time before its answer begins, and waiting for the caller does not count against MLflow.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable
from urllib.parse import parse_qsl, urlencode

import aiohttp
import yarl
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hokusai_sandbox.gateway.answers import answer
from hokusai_sandbox.gateway.caller import Caller
from hokusai_sandbox.gateway.checks import timed_out
from hokusai_sandbox.gateway.mlflow import unreachable
from hokusai_sandbox.gateway.state import Gateway

PREFIXES = ("/api/mlflow", "/mlflow")
PIECE_BYTES = 64 * 1024
SMALL_BYTES = 64 * 1024  # up to here a body is read whole: one write, and safe to send once more
UPLOAD_BYTES_PER_S = 4 * 1024 * 1024  # what MLflow is given time for, once it has the whole body
CALLER_IDLE_S = 60.0

# Of the connection, not of the message (RFC 9110), or the server's own.
NOT_FORWARDED = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te"}
    | {"trailer", "transfer-encoding", "upgrade"}
)
NOT_SENT = NOT_FORWARDED | {"host", "authorization", "x-api-key", "expect"}
NOT_RETURNED = NOT_FORWARDED | {"server", "date", "x-instance"}
KEY_PARAMETERS = frozenset({"api_key", "apikey", "api-key", "x-api-key", "access_token", "key"})
PUBLISHED = {
    "registered-models/create": "model.registered",
    "model-versions/create": "model.version_created",
}


class Proxy:
    """ANY /api/mlflow/{path} and /mlflow/{path}."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.settings = gateway.settings

    async def proxy(self, request: Request) -> Response:
        """One call. OPEN: 503 without a connection."""
        gateway = self.gateway
        if self.refuses():
            return self.open_answer()
        path = self.path(request.scope)
        body = Body(request, self.limit_s(path))
        started = time.monotonic()
        try:
            response = await body.watch(self.send(request, path, body))
        except TimeoutError:
            gateway.mlflow.failed(timed_out("MLflow", body.limit_s), started)
            return self.timeout_answer(body.limit_s)
        except (aiohttp.ClientError, OSError) as error:
            if body.caller_gone:  # not MLflow's fault
                return failure("The caller's body ended early", "BAD_REQUEST", 400)
            reason = unreachable(error)
            gateway.mlflow.failed(reason, started)
            return self.unreachable_answer(reason)
        if self.is_failure(response.status):
            gateway.mlflow.failed(f"MLflow answered {response.status}", started)
        else:
            gateway.mlflow.succeeded(started)
            self.publish(path, response.status, request.scope)
        return await self.returned(response, path, started)

    def is_failure(self, status: int) -> bool:
        """Which of MLflow's answers the breaker counts as failures."""
        return status >= 500

    def refuses(self) -> bool:
        """Whether the breaker keeps calls away from MLflow."""
        return self.gateway.breaker.is_open()

    def path(self, scope: Scope) -> str:
        """The path at MLflow."""
        return upstream_path(scope)

    def limit_s(self, path: str) -> float:
        """How long MLflow may take: longer for artifacts, which it fetches whole before answering."""
        artifact = path.startswith(("/api/2.0/mlflow-artifacts/", "/get-artifact"))
        settings = self.settings
        return max(settings.proxy_timeout_s, settings.artifact_timeout_s if artifact else 0.0)

    async def send(self, request: Request, path: str, body: "Body") -> aiohttp.ClientResponse:
        """Ask MLflow; comes back when its headers are there."""
        query = self.query(request)
        url = yarl.URL(self.gateway.mlflow.base_url + path + (f"?{query}" if query else ""), encoded=True)
        return await self.gateway.mlflow.session.request(
            request.method,
            url,
            headers=self.headers(request),
            data=await body.content(),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.settings.proxy_timeout_s),
        )

    def headers(self, request: Request) -> list[tuple[str, str]]:
        """The caller's headers without its key, and who the caller is. `X-Hokusai-*` of the
        caller's own would be a claim to be someone else."""
        sent = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in request.scope["headers"]
            if (lower := name.decode("latin-1")) not in NOT_SENT and not lower.startswith("x-hokusai-")
        ]
        caller: Caller = request.scope["caller"]
        sent.append(("X-Hokusai-User-Id", caller.user_id))
        sent.append(("X-Hokusai-API-Key-Id", caller.key_id))
        return sent

    def query(self, request: Request) -> str:
        """The caller's query, less anything that is a key."""
        query: str = request.scope["query_string"].decode("latin-1")
        if not query:
            return ""
        pairs = parse_qsl(query, keep_blank_values=True)
        kept = [
            pair for pair in pairs if pair[0].lower() not in KEY_PARAMETERS and not pair[1].startswith("hk_")
        ]
        return query if len(kept) == len(pairs) else urlencode(kept)

    async def returned(self, response: aiohttp.ClientResponse, path: str, started: float) -> Response:
        """MLflow's answer as the caller gets it."""
        if response.status == 404 and response.content_type == "text/html":
            response.release()
            return failure(f"MLflow has no {path}", "RESOURCE_NOT_FOUND", 404)
        headers = [(name.lower(), value) for name, value in response.raw_headers if not _of_connection(name)]
        return self.streamed(response, headers, started)

    def streamed(
        self, response: aiohttp.ClientResponse, headers: list[tuple[bytes, bytes]], started: float
    ) -> "Streamed":
        """The answer that passes MLflow's on."""
        return Streamed(self, response, headers, started)

    def publish(self, path: str, status: int, scope: Scope) -> None:
        """Tell the message queue of new models."""
        event = PUBLISHED.get(path.rpartition("/mlflow/")[2])
        if event is not None and status == 200:
            self.gateway.queue.publish(event, user_id=scope["caller"].user_id)

    def open_answer(self) -> Response:
        """The breaker is OPEN."""
        retry_s = self.gateway.breaker.get_status().get("time_until_retry") or 0.0
        return failure(
            "MLflow is not available: circuit breaker OPEN",
            "TEMPORARILY_UNAVAILABLE",
            503,
            {"Retry-After": str(max(1, -int(-retry_s // 1)))},
        )

    def unreachable_answer(self, reason: str) -> Response:
        """No connection, or one that broke."""
        return failure(reason, "BAD_GATEWAY", 502)

    def timeout_answer(self, limit_s: float) -> Response:
        """MLflow was too slow."""
        return failure(timed_out("MLflow", limit_s), "GATEWAY_TIMEOUT", 504)


class Body:
    """A request's body on its way to MLflow, and the watch over the call."""

    def __init__(self, request: Request, limit_s: float) -> None:
        self.limit_s = limit_s
        self.caller_gone = False
        self._request = request
        self._sent_bytes = 0
        self._moved = time.monotonic()
        self._waiting_for_caller = False

    async def content(self) -> bytes | AsyncIterator[bytes] | None:
        """What the client library sends: nothing, a small body whole, or pieces as they come."""
        headers = self._request.headers
        length = headers.get("content-length")
        if length is None and "transfer-encoding" not in headers:
            return None
        if length is not None and int(length) <= SMALL_BYTES:
            try:
                async with asyncio.timeout(CALLER_IDLE_S):
                    return await self._request.body()
            except (ClientDisconnect, TimeoutError):
                self.caller_gone = True
                raise aiohttp.ClientConnectionError("the caller is gone") from None
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        stream = self._request.stream()
        while True:
            self._waiting_for_caller = True
            try:
                async with asyncio.timeout(CALLER_IDLE_S):
                    piece = await anext(stream, None)
            except (ClientDisconnect, TimeoutError):
                self.caller_gone = True
                raise aiohttp.ClientConnectionError("the caller is gone") from None
            finally:
                self._waiting_for_caller = False
                self._moved = time.monotonic()
            if piece is None:
                return
            self._sent_bytes += len(piece)
            if piece:
                yield piece

    async def watch(self, call: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
        """Wait for the call, as long as something moves.

        Raises TimeoutError, and what the call raises."""
        task: asyncio.Task[aiohttp.ClientResponse] = asyncio.ensure_future(call)
        try:
            while not task.done():
                left_s = self._left_s()
                if left_s <= 0:
                    raise TimeoutError
                await asyncio.wait({task}, timeout=left_s)
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    def _left_s(self) -> float:
        if self._waiting_for_caller:
            return self.limit_s
        allowed_s = self.limit_s + self._sent_bytes / UPLOAD_BYTES_PER_S
        return self._moved + allowed_s - time.monotonic()


class Streamed(Response):
    """MLflow's answer, passed on piece by piece. One that breaks off breaks the caller's
    connection too: nothing else would tell it from a whole one."""

    def __init__(
        self,
        proxy: Proxy,
        response: aiohttp.ClientResponse,
        headers: list[tuple[bytes, bytes]],
        started: float,
    ) -> None:
        self._proxy = proxy
        self._response = response
        self._started = started
        self._limit_s = proxy.limit_s(response.url.raw_path)
        self.status_code = response.status
        self.raw_headers = headers
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        response = self._response
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            while True:
                async with asyncio.timeout(self._limit_s):
                    piece = self.piece(await response.content.readany())
                more = bool(piece) or not response.content.at_eof()
                async with asyncio.timeout(CALLER_IDLE_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": more})
                if not more:
                    return
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._proxy.gateway.mlflow.failed(f"MLflow's answer broke off: {error}", self._started)
            self._proxy.gateway.log.warning("answer broke off", error=str(error))
            raise BrokenOff from None
        finally:
            response.close() if not response.content.at_eof() else response.release()

    def piece(self, piece: bytes) -> bytes:
        """A piece of the body, as it goes to the caller."""
        return piece


class BrokenOff(Exception):
    """MLflow's answer ended before it was complete."""


def failure(message: str, code: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """An error in MLflow's own form, so that its clients understand it."""
    return answer({"error_code": code, "message": message, "detail": message}, status, headers)


def upstream_path(scope: Scope) -> str:
    """The path at MLflow, percent-encoding untouched. Short forms get the REST prefix."""
    raw = scope.get("raw_path") or scope["path"].encode()
    path: str = raw.decode("latin-1").partition("?")[0]
    for prefix in PREFIXES:
        if path.startswith(prefix + "/"):
            path = path[len(prefix) :]
            break
    first = path.lstrip("/").partition("/")[0]
    if first in ("api", "ajax-api", "health", "version", "graphql", "get-artifact", ""):
        return path
    return f"/api/2.0{path}" if first == "mlflow-artifacts" else f"/api/2.0/mlflow{path}"


def _of_connection(name: bytes) -> bool:
    return name.decode("latin-1").lower() in NOT_RETURNED
