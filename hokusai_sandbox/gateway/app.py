"""The gateway as an ASGI application: routes, and the edge around them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from hokusai_sandbox.gateway.answers import refusal
from hokusai_sandbox.gateway.state import Gateway
from hokusai_sandbox.gateway.wiring import Wiring

Handler = Callable[[Request], Awaitable[Response]]
# Nothing collects it here.
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
RESET_PATH = "/health/mlflow/reset"
ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def build_app(gateway: Gateway, wiring: Wiring) -> ASGIApp:
    """Routes to the handlers of the wiring. The edge is outermost, so that every answer, errors
    too, passes it."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await gateway.open()
        try:
            yield
        finally:
            await gateway.close()

    app = FastAPI(
        title="Hokusai registry API",
        version=gateway.settings.version,
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    health = wiring.health(gateway)
    diagnosis = wiring.diagnosis(gateway)
    proxy = wiring.proxy(gateway)
    reading: dict[str, Handler] = {
        "/health": health.health,
        "/ready": health.ready,
        "/live": health.live,
        "/version": health.version,
        "/metrics": wiring.metrics(gateway).metrics,
        "/health/mlflow": health.mlflow,
        "/health/status": health.status,
        "/": health.root,
        "/api/health/mlflow": diagnosis.summary,
        "/api/health/mlflow/detailed": diagnosis.detailed,
        "/api/health/mlflow/connectivity": diagnosis.connectivity,
    }
    for path, handler in reading.items():
        _route(app, path, handler, ["GET", "HEAD"])
    _route(app, RESET_PATH, health.reset, ["POST"])
    for prefix in ("/api/mlflow", "/mlflow"):
        _route(app, prefix + "/{path:path}", proxy.proxy, ANY_METHOD)

    async def http_error(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return refusal(str(error.detail), error.status_code, error.headers)

    async def own_error(_request: Request, _error: Exception) -> Response:
        return refusal("Internal server error", 500)

    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, own_error)
    return wiring.edge(
        app,
        instance=gateway.settings.instance_name,
        authenticator=gateway.authenticator,
        usage=gateway.usage,
        traffic=gateway.traffic,
        log=gateway.log,
        paths=frozenset({*reading, RESET_PATH}),
    )


def _route(app: FastAPI, path: str, handler: Handler, methods: list[str]) -> None:
    """The handlers make whole answers, so plain routes, four times as fast, serve them; the routes
    that come after them are for the documentation alone."""
    app.add_route(path, handler, methods=methods, include_in_schema=False)
    for method in methods:  # one each: OpenAPI wants operation ids to be unique
        if method != "HEAD":
            app.add_api_route(path, handler, methods=[method], response_model=None)
