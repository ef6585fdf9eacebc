"""The outermost layer: names the instance on every answer, lets requests pass or not, counts."""

import time
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hokusai_sandbox.gateway.answers import refusal
from hokusai_sandbox.gateway.authentication import Authenticator
from hokusai_sandbox.gateway.logs import Log
from hokusai_sandbox.gateway.traffic import Traffic
from hokusai_sandbox.gateway.usage import UsageReports

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        instance: str,
        authenticator: Authenticator,
        usage: UsageReports,
        traffic: Traffic,
        log: Log,
        paths: frozenset[str],
    ) -> None:
        self.app = app
        self.instance = instance
        self.authenticator = authenticator
        self.usage = usage
        self.traffic = traffic
        self.log = log
        self.paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        extra: dict[str, str] = {"X-Instance": self.instance}
        status = 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_raw(extra)]
            await send(message)

        self.traffic.active += 1
        try:
            await self.serve(scope, receive, send_named, extra)
        except Exception as error:
            self.log.error("request failed", path=scope["path"], error=f"{type(error).__name__}: {error}")
            if status:  # half an answer is out: only breaking the connection tells the caller
                return
            await refusal("Internal server error", 500)(scope, receive, send_named)
        finally:
            self.traffic.active -= 1
            elapsed_ms = (time.perf_counter() - started) * 1000
            method = scope["method"] if scope["method"] in METHODS else "OTHER"
            self.traffic.served(method, self.route_of(scope), status, elapsed_ms)
            if "caller" in scope or status >= 400:
                self.log_request(scope, status, elapsed_ms)

    async def serve(self, scope: Scope, receive: Receive, send: Send, extra: dict[str, str]) -> None:
        """Authenticate where a key is needed, then hand on. `extra` goes on the answer."""
        if self.authenticator.needs_key(scope["method"], scope["path"]):
            admitted = await self.authenticator.admit(scope)
            if isinstance(admitted, Response):
                await admitted(scope, receive, send)
                return
            extra.update(admitted.headers)
            scope["caller"] = admitted.caller
            await self.app(scope, receive, send)
            await self.usage.used(admitted.caller.key_id, self.route_of(scope))
        else:
            await self.app(scope, receive, send)

    def route_of(self, scope: Scope) -> str:
        """The route's pattern: a label that callers can't make up."""
        path: str = scope["path"]
        if path.startswith(("/api/mlflow/", "/mlflow/")):
            return "/api/mlflow/{path}"
        return path if path in self.paths else "(other)"

    def log_request(self, scope: Scope, status: int, elapsed_ms: float) -> None:
        """One line for a request of a caller, or one that was refused. Its query is left out:
        people put keys there."""
        caller = scope.get("caller")
        self.log.info(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            elapsed_ms=round(elapsed_ms, 2),
            key_id=caller.key_id if caller is not None else None,
        )


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
