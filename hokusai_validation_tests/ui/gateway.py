"""An API that keeps the contract of the endpoints that need nothing behind it, until it is told to
break: what a target has while a phase of it is red, then mended."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hokusai_validation.probes.api_keys import NOWHERE
from hokusai_validation_tests.suite_beyond.stub import Answering, Reply, Stub, good_replies, serving

COMMIT = "4f1c2d9ab07e63518d2e9f0c7a6b5d4e3f2a1b0c"
SERVICES = {"mlflow": "healthy", "redis": "disabled", "message_queue": "disabled", "postgres": "healthy"}
BREAKER = {"state": "CLOSED"}


class Gateway:
    """The API, well at first."""

    def __init__(self, stub: Stub) -> None:
        self.url = stub.url
        self._stub = stub
        self.mend()

    def mend(self) -> None:
        """All is well."""
        self._stub.replies = _replies("healthy", SERVICES)

    def break_database(self) -> None:
        """PostgreSQL is gone, and the API says so."""
        self._stub.replies = _replies("unhealthy", SERVICES | {"postgres": "unhealthy"})

    def target_file(self, folder: Path, name: str) -> Path:
        """A target that has nothing but this API, so that its phases are quick."""
        path = folder / f"{name}.toml"
        path.write_text(
            f'name = "{name}"\nexpected_commit = "{COMMIT}"\n\n[endpoints]\nregistry = "{self.url}"\n\n'
            "[topology.redis]\ndepends_on = []\noptional = true\ndeployed = false\n",
            encoding="utf-8",
        )
        return path


@contextmanager
def gateway() -> Iterator[Gateway]:
    """One on a free port of loopback, in the block."""
    with serving() as stub:
        yield Gateway(stub)


def _replies(status: str, services: Mapping[str, str]) -> dict[str, Answering]:
    began = time.monotonic()
    database = services["postgres"] == "healthy"

    def now(make: Callable[[bool], dict[str, Any]], code: int = 200) -> Answering:
        """With the time of asking; `make` is told whether details are asked for."""

        def answer(path: str, _: Mapping[str, str]) -> Reply:
            stamp = datetime.now(UTC).isoformat()
            return Reply(code, {**make("detailed=true" in path), "timestamp": stamp})

        return answer

    def health(detailed: bool) -> dict[str, Any]:
        plain = {"status": status, "version": "1.4.0", "services": services}
        mlflow = {"tracking_uri": "http://mlflow:5000", "response_time_ms": 2.5, "circuit_breaker": BREAKER}
        return plain | _details(mlflow, database) if detailed else plain

    return {
        # The target has no key, so whatever needs one is refused.
        **dict.fromkeys(good_replies(), Reply(401, {"detail": "API key required"})),
        **dict.fromkeys(("/health/mlflow/reset", NOWHERE), Reply(401, {"detail": "API key required"})),
        **dict.fromkeys(("/metrics", "/docs", "/redoc", "/openapi.json"), Reply(body=b"served")),
        "/health": now(health),
        "/ready": Reply(200 if database else 503, _ready(database)),
        "/live": now(
            lambda _: {"alive": True, "uptime": time.monotonic() - began + 1, "memory_usage_mb": 64.0}
        ),
        "/version": Reply(
            body={
                "version": "1.4.0",
                "build_date": "2026-01-01",
                "git_commit": COMMIT,
                "api_version": "v1",
            }
        ),
        "/health/mlflow": now(
            lambda _: {
                "connected": True,
                "circuit_breaker_state": "CLOSED",
                "tracking_uri": "http://mlflow:5000",
                "response_time_ms": 2.5,
            }
        ),
        "/health/status": now(
            lambda _: {
                "service_name": "hokusai-registry",
                "api_version": "v1",
                "overall_health": status,
                "services": services,
                "mlflow": {"status": services["mlflow"], "circuit_breaker": BREAKER},
                "environment": "development",
            }
        ),
    }


def _details(mlflow: dict[str, Any], database: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "system_info": {"cpu_percent": 3.0, "memory_percent": 40.0},
        "mlflow_details": mlflow,
    }
    if not database:
        found["postgres_error"] = "connection refused"
    return found


def _ready(database: bool) -> dict[str, Any]:
    check = {"name": "postgres", "passed": database, "critical": True}
    return {
        "ready": database,
        "can_serve_traffic": database,
        "degraded_mode": False,
        "checks": [check if database else check | {"error": "connection refused"}],
    }
