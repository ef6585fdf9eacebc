"""The admin port: fail points, and which defects are on. Loopback only, and no part of the API."""

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hokusai_sandbox.gateway.failpoints import FAIL_POINTS, MAX_LEASE_S
from hokusai_sandbox.gateway.state import Gateway


def build_admin(gateway: Gateway) -> Starlette:
    """`/failpoints` and `/defects`."""
    failpoints = gateway.failpoints

    async def show(_request: Request) -> Response:
        return JSONResponse(failpoints.state())

    async def change(request: Request) -> Response:
        try:
            wanted: Any = await request.json()
        except ValueError:
            wanted = None
        problem = _problem(wanted)
        if problem is not None:
            return JSONResponse({"detail": problem}, 422)
        lease_s = wanted.pop("lease_s", None)
        for name, on in wanted.items():
            failpoints.set(name, on, lease_s)
        return JSONResponse(failpoints.state())

    async def clear(_request: Request) -> Response:
        failpoints.clear()
        return JSONResponse(failpoints.state())

    async def defects(_request: Request) -> Response:
        return JSONResponse(list(gateway.settings.defects))

    return Starlette(
        routes=[
            Route("/failpoints", show, methods=["GET"]),
            Route("/failpoints", change, methods=["PUT"]),
            Route("/failpoints", clear, methods=["DELETE"]),
            Route("/defects", defects, methods=["GET"]),
        ]
    )


def _problem(wanted: Any) -> str | None:
    if not isinstance(wanted, dict):
        return 'Send a JSON object of fail points, such as {"psutil_missing": true, "lease_s": 10}.'
    for name, value in wanted.items():
        if name == "lease_s":
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 < value <= MAX_LEASE_S:
                return f"lease_s is seconds, above 0 and at most {MAX_LEASE_S:g}."
        elif name not in FAIL_POINTS:
            return f"Fail point {name!r} is not known; there are: {', '.join(FAIL_POINTS)}."
        elif not isinstance(value, bool):
            return f"{name} is true or false."
    return None
