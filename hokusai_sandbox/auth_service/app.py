"""The auth service's HTTP side: validation, usage, and the sandbox's admin."""

import re
import time
from collections import Counter
from typing import Annotated

from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from hokusai_sandbox.auth_service.settings import KeyKind, Settings
from hokusai_sandbox.auth_service.store import Store
from hokusai_sandbox.gateway.answers import now

_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)


class Validate(BaseModel):
    """For which service a key is to be valid."""

    service_id: str


class UsageReport(BaseModel):
    """How often a key was used."""

    model_config = ConfigDict(extra="allow")

    count: Annotated[int, Field(ge=1)] = 1


class NewKey(BaseModel):
    """A key that a test wants."""

    model_config = ConfigDict(extra="forbid")

    kind: KeyKind = KeyKind.GOOD
    rate_limit_per_hour: Annotated[int, Field(ge=0)] | None = None


def build_app(settings: Settings, store: Store) -> FastAPI:
    """The whole service. The admin is open: it listens on loopback, in the sandbox alone."""
    app = FastAPI(title="Hokusai auth service", version=settings.version)
    validations: Counter[str] = Counter()
    by_key: Counter[str] = Counter()
    usage: Counter[str] = Counter()
    about = {"service": "hokusai-auth", "version": settings.version}

    @app.get("/")
    async def root() -> dict[str, str]:
        return about | {"status": "running"}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return about | {"status": "healthy", "timestamp": now()}

    @app.post("/api/v1/keys/validate", response_model=None)
    async def validate(body: Validate, authorization: Annotated[str, Header()] = "") -> Response:
        validations["total"] += 1
        found = _BEARER.fullmatch(authorization.strip())
        row = store.find(found[1]) if found is not None else None
        if row is None:
            validations["unknown"] += 1
            return _refused("unknown")
        by_key[row.key_id] += 1
        reason = row.refused_because(time.time())
        if reason is None and body.service_id != settings.auth_service_id:
            reason = "not valid for this service"
        if reason is not None:
            validations["refused"] += 1
            return _refused(reason)
        used, window_ends = store.count(row.key_id)
        if used > row.rate_limit_per_hour:
            validations["limited"] += 1
            wait_s = max(1, window_ends - int(time.time()))
            return JSONResponse({"detail": "Rate limit exceeded"}, 429, {"Retry-After": str(wait_s)})
        validations["valid"] += 1
        return JSONResponse(
            {
                "user_id": row.user_id,
                "key_id": row.key_id,
                "service_id": body.service_id,
                "scopes": list(row.scopes),
                "rate_limit_per_hour": row.rate_limit_per_hour,
            }
        )

    @app.post("/api/v1/usage/{key_id}", response_model=None)
    async def report(key_id: str, body: UsageReport | None = None) -> Response:
        if not store.known(key_id):
            return JSONResponse({"detail": "Unknown key id"}, 404)
        usage[key_id] += body.count if body is not None else 1
        return JSONResponse({"recorded": True})

    @app.post("/admin/keys", status_code=201)
    async def make(body: NewKey) -> dict[str, str]:
        key, key_id = store.make(body.kind, body.rate_limit_per_hour)
        return {"key": key, "key_id": key_id}

    @app.post("/admin/keys/{key_id}/revoke", response_model=None)
    async def revoke(key_id: str) -> Response:
        if not store.revoke(key_id):
            return JSONResponse({"detail": "Unknown key id"}, 404)
        return JSONResponse({"key_id": key_id, "revoked": True})

    @app.get("/admin/requests")
    async def requests() -> dict[str, dict[str, int]]:
        return {
            "validate": {name: validations[name] for name in VALIDATIONS},
            "validate_by_key": dict(by_key),
            "usage_by_key": dict(usage),
        }

    return app


VALIDATIONS = ("total", "valid", "refused", "unknown", "limited")


def _refused(reason: str) -> Response:
    return JSONResponse({"detail": f"API key is {reason}"}, 401, {"WWW-Authenticate": "Bearer"})
