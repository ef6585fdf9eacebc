"""The service as a whole, its dependencies and its metrics, gone wrong."""

import asyncio
from typing import Any

from pydantic import JsonValue, SecretStr
from starlette.types import Receive, Scope, Send

from hokusai_sandbox.gateway.answers import refusal
from hokusai_sandbox.gateway.checks import Check, Unwell, Watched
from hokusai_sandbox.gateway.database import Database
from hokusai_sandbox.gateway.edge import Edge
from hokusai_sandbox.gateway.logs import Log
from hokusai_sandbox.gateway.metrics import Metrics
from hokusai_sandbox.gateway.settings import Settings
from hokusai_sandbox.gateway.state import Gateway, ServiceState

LEAKED_BYTES = 8 * 1024  # a request: 8 MB in a thousand
MANY = 4


class Slow(Edge):
    """Every answer takes longer."""

    delay_s = 1.2

    async def serve(self, scope: Scope, receive: Receive, send: Send, extra: dict[str, str]) -> None:
        await asyncio.sleep(self.delay_s)
        await super().serve(scope, receive, send, extra)


class SlowsDown(Edge):
    """Every answer takes a little longer than the one before."""

    delay_s = 0.0005
    served = 0

    async def serve(self, scope: Scope, receive: Receive, send: Send, extra: dict[str, str]) -> None:
        self.served += 1
        await asyncio.sleep(min(self.served * self.delay_s, 5.0))
        await super().serve(scope, receive, send, extra)


class RefusesMany(Edge):
    """More than a few requests at once are refused."""

    async def serve(self, scope: Scope, receive: Receive, send: Send, extra: dict[str, str]) -> None:
        if self.traffic.active > MANY:
            await refusal("Too busy", 503)(scope, receive, send)
            return
        await super().serve(scope, receive, send, extra)


class LeaksMemory(Edge):
    """Each request leaves something behind."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.leaked: list[bytes] = []

    async def serve(self, scope: Scope, receive: Receive, send: Send, extra: dict[str, str]) -> None:
        self.leaked.append(b"\x01" * LEAKED_BYTES)
        await super().serve(scope, receive, send, extra)


class LogsKeys(Edge):
    """The whole request is logged, headers and query included."""

    def log_request(self, scope: Scope, status: int, elapsed_ms: float) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        self.log.info("request", path=f"{scope['path']}?{query}", status=status, headers=headers)


class UnmaskedLog(Log):
    """Log lines are not masked."""

    def redact(self, text: str) -> str:
        return text


class NoInstanceName(Edge):
    """Answers don't say which instance they come from."""

    async def serve(self, scope: Scope, receive: Receive, send: Send, extra: dict[str, str]) -> None:
        extra.pop("X-Instance", None)
        await super().serve(scope, receive, send, extra)


class NeverReconnects(Database):
    """The database is given up for good when it was once lost."""

    _lost: str | None = None

    async def check(self) -> None:
        if self._lost is not None:
            raise Unwell(f"the connection is closed ({self._lost})")
        try:
            await super().check()
        except Exception as error:
            self._lost = str(error) or type(error).__name__
            raise


class RedisRequired(Gateway):
    """Redis that is not deployed counts as failed."""

    async def state_of(self, name: str, watched: Watched | None) -> ServiceState:
        if watched is None:
            missing = Check(False, f"{name} is not configured", 0.0, 0.0, 0.0)
            return ServiceState(name, "unhealthy", missing)
        return await super().state_of(name, watched)


class OpenHidden(Gateway):
    """MLflow is called healthy whatever the breaker says."""

    def mlflow_state(self) -> ServiceState:
        return ServiceState("mlflow", "healthy", super().mlflow_state().check)


class MetricsDisagree(Metrics):
    """The gauges are the other way round."""

    def connection_status(self) -> int:
        return 1 - super().connection_status()

    def breaker_state(self) -> int:
        return 2 - super().breaker_state()


class NoMlflowMetrics(Metrics):
    """The two promised gauges have other names."""

    def collect(self) -> Any:
        for family in super().collect():
            if family.name.startswith("mlflow_"):
                family.name = f"hokusai_{family.name}"
                family.samples = [item._replace(name=family.name) for item in family.samples]
            yield family


class FallbackIncomplete(Metrics):
    """Without a Prometheus client half of the fields are missing."""

    def fallback(self) -> dict[str, JsonValue]:
        return {"requests_total": super().fallback()["requests_total"]}


def without_check_timeouts(settings: Settings) -> Settings:
    """Checks of dependencies wait for half a minute."""
    return settings.model_copy(update={"check_timeout_s": 30.0})


def impatient(settings: Settings) -> Settings:
    """A dependency that takes 50 ms counts as failed."""
    return settings.model_copy(update={"check_timeout_s": 0.05})


def without_redis(settings: Settings) -> Settings:
    """Redis is not deployed."""
    return settings.model_copy(update={"redis_url": SecretStr(""), "queue_redis_url": SecretStr("")})


def commit_unknown(settings: Settings) -> Settings:
    """/version says a commit that is none."""
    return settings.model_copy(update={"git_commit": "unknown"})
