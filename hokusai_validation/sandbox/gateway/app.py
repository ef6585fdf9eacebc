"""The gateway as an ASGI application: routes, and the edge around them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from hokusai_validation.sandbox.gateway.answers import refusal
from hokusai_validation.sandbox.gateway.state import Gateway
from hokusai_validation.sandbox.gateway.wiring import Wiring

Handler = Callable[[Request], Awaitable[Response]]
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
    _route(app, "/health/mlflow/reset", health.reset, ["POST"])
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
    )


def _route(app: FastAPI, path: str, handler: Handler, methods: list[str]) -> None:
    for method in methods:  # one route a method: OpenAPI wants operation ids to be unique
        app.add_api_route(
            path, handler, methods=[method], response_model=None, include_in_schema=method != "HEAD"
        )
