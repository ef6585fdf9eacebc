"""A proxy to MLflow that passes on too much, too little, or the wrong thing."""

import asyncio

import aiohttp
from fastapi import Request
from starlette.responses import Response
from starlette.types import Scope

from hokusai_sandbox.gateway.answers import refusal
from hokusai_sandbox.gateway.mlflow import Mlflow
from hokusai_sandbox.gateway.proxy import Proxy, Streamed, failure

DAMAGED_FROM_BYTES = 16


class ForwardsKey(Proxy):
    """The caller's key goes on to MLflow."""

    def headers(self, request: Request) -> list[tuple[str, str]]:
        keys = [
            (name.decode(), value.decode("latin-1"))
            for name, value in request.scope["headers"]
            if name in (b"authorization", b"x-api-key")
        ]
        return super().headers(request) + keys


class KeyInQueryForwarded(Proxy):
    """Keys in the query go on to MLflow."""

    def query(self, request: Request) -> str:
        query: str = request.scope["query_string"].decode("latin-1")
        return query


class NoUserHeaders(Proxy):
    """MLflow is not told who the caller is."""

    def headers(self, request: Request) -> list[tuple[str, str]]:
        return [pair for pair in super().headers(request) if not pair[0].startswith("X-Hokusai-")]


class TrustsCallersHeaders(Proxy):
    """A caller's own X-Hokusai-User-Id goes on, in place of ours."""

    def headers(self, request: Request) -> list[tuple[str, str]]:
        claimed = [
            (name.decode(), value.decode("latin-1"))
            for name, value in request.scope["headers"]
            if name.startswith(b"x-hokusai-")
        ]
        return super().headers(request) + claimed


class HtmlPassedOn(Proxy):
    """MLflow's HTML 404 goes to the caller as it is."""

    async def returned(self, response: aiohttp.ClientResponse, path: str, started: float) -> Response:
        if response.status == 404 and response.content_type == "text/html":
            return Response(await response.read(), 404, media_type="text/html")
        return await super().returned(response, path, started)


class Unreachable500(Proxy):
    """MLflow unreachable is answered as an error of the API's own."""

    def unreachable_answer(self, reason: str) -> Response:
        return refusal("Internal server error", 500)


class Timeout500(Proxy):
    """MLflow too slow is answered as an error of the API's own."""

    def timeout_answer(self, limit_s: float) -> Response:
        return refusal("Internal server error", 500)


class NoTimeout(Proxy):
    """MLflow may take as long as it likes (a minute)."""

    def limit_s(self, path: str) -> float:
        return 60.0


class LetsCallsThrough(Proxy):
    """The breaker is asked, and its answer passed over."""

    def refuses(self) -> bool:
        super().refuses()
        return False


class Open500(Proxy):
    """An open breaker is answered 500."""

    def open_answer(self) -> Response:
        return refusal("MLflow circuit breaker is open", 500)


class OpenWithoutRetryAfter(Proxy):
    """503 does not say when to try again."""

    def open_answer(self) -> Response:
        return failure("MLflow is not available", "TEMPORARILY_UNAVAILABLE", 503)


class Counts4xx(Proxy):
    """A caller's mistakes count as MLflow's failures."""

    def is_failure(self, status: int) -> bool:
        return status >= 400


class PrefixKept(Proxy):
    """The proxy's own prefix is sent on, and MLflow knows no such path."""

    def path(self, scope: Scope) -> str:
        path: str = scope["path"]
        return path


class _Damaged(Streamed):
    damaged = False

    def piece(self, piece: bytes) -> bytes:
        if self.damaged or len(piece) < DAMAGED_FROM_BYTES:
            return piece
        self.damaged = True
        middle = len(piece) // 2
        return piece[:middle] + bytes([piece[middle] ^ 0xFF]) + piece[middle + 1 :]


class DamagesArtifacts(Proxy):
    """One byte of each artifact is changed on its way to the caller."""

    async def returned(self, response: aiohttp.ClientResponse, path: str, started: float) -> Response:
        self._artifact = "mlflow-artifacts/" in path
        return await super().returned(response, path, started)

    def streamed(
        self, response: aiohttp.ClientResponse, headers: list[tuple[bytes, bytes]], started: float
    ) -> Streamed:
        wrong = self._artifact and response.method == "GET"
        return (_Damaged if wrong else Streamed)(self, response, headers, started)


class QueueFailureFails(Proxy):
    """A new model that can't be published is an error for its owner."""

    async def proxy(self, request: Request) -> Response:
        found = await super().proxy(request)
        published = any(part in request.scope["path"] for part in ("registered-models/", "model-versions/"))
        watched = self.gateway.queue.watched
        if published and watched is not None and not (await watched.current()).ok:
            return refusal("Event could not be published", 500)
        return found


class NotCounted(Mlflow):
    """Calls are not counted, so the breaker never opens."""

    def succeeded(self, started: float) -> None:
        self._known(None, started)

    def failed(self, error: str, started: float) -> None:
        self._known(error, started)


class SlowProxy(Proxy):
    """Every proxied call takes longer."""

    delay_s = 0.5

    async def proxy(self, request: Request) -> Response:
        await asyncio.sleep(self.delay_s)
        return await super().proxy(request)
