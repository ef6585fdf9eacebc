"""Health, readiness and liveness that break their promises."""

import asyncio
import contextlib
import http.client
import itertools
import time
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from pydantic import JsonValue
from starlette.responses import Response

from hokusai_sandbox.breaker import BreakerState
from hokusai_sandbox.gateway.answers import answer, refusal
from hokusai_sandbox.gateway.health import Health, services_of
from hokusai_sandbox.gateway.mlflow import MlflowFailed
from hokusai_sandbox.gateway.state import ServiceState

BLOCKING_TRIES = 2
BLOCKING_LIMIT_S = 1.0
BLOCKING_PAUSE_S = 0.3


class BlocksOnHealth(Health):
    """Asks MLflow with a blocking client and retries, on the event loop."""

    delay_s = 0.0  # for so long, and a few times at least

    async def health_content(self, detailed: bool) -> dict[str, JsonValue]:
        until = time.monotonic() + self.delay_s
        for tries in itertools.count(1):
            if self._answers():
                break
            time.sleep(BLOCKING_PAUSE_S)  # noqa: ASYNC251 - blocking is the defect
            if tries >= BLOCKING_TRIES and time.monotonic() >= until:
                break
        return await super().health_content(detailed)

    def _answers(self) -> bool:
        address = urlsplit(self.gateway.mlflow.base_url)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=BLOCKING_LIMIT_S
        )
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class WaitsForMlflow(Health):
    """Asks MLflow on every /health, and waits as long as it takes."""

    async def health_content(self, detailed: bool) -> dict[str, JsonValue]:
        with contextlib.suppress(MlflowFailed):
            await self.gateway.mlflow.ask("/health", 30.0)
        return await super().health_content(detailed)


class DetailedFails(Health):
    """Detailed health raises."""

    async def health_content(self, detailed: bool) -> dict[str, JsonValue]:
        content = await super().health_content(detailed)
        if detailed:
            raise KeyError("system_info")
        return content


class FailsWhenOpen(Health):
    """/health answers 500 while the breaker is OPEN."""

    async def health(self, request: Request) -> Response:
        if self.gateway.breaker.state == BreakerState.OPEN:
            return refusal("MLflow circuit breaker is open", 500)
        return await super().health(request)


class MlflowHealth500(Health):
    """/health/mlflow answers 500 while the breaker is OPEN."""

    def mlflow_open(self, error: str | None = None) -> Response:
        return answer({"detail": "MLflow circuit breaker is open"}, 500)


class SaysHealthy(Health):
    """/health says that all is well, whatever is."""

    async def health_content(self, detailed: bool) -> dict[str, JsonValue]:
        content = await super().health_content(detailed)
        return content | {"status": "healthy", "services": dict.fromkeys(services_of(content), "healthy")}


class SaysUnhealthy(Health):
    """/health says that redis is down though it is fine."""

    async def health_content(self, detailed: bool) -> dict[str, JsonValue]:
        content = await super().health_content(detailed)
        return content | {"status": "degraded", "services": services_of(content) | {"redis": "unhealthy"}}


class Flaps(Health):
    """Every fourth /health says that PostgreSQL is down."""

    answers = 0

    async def health_content(self, detailed: bool) -> dict[str, JsonValue]:
        content = await super().health_content(detailed)
        type(self).answers += 1
        if self.answers % 4:
            return content
        return content | {"status": "unhealthy", "services": services_of(content) | {"postgres": "unhealthy"}}


class NaiveTimestamps(Health):
    """Time stamps have no time zone."""

    async def health_content(self, detailed: bool) -> dict[str, JsonValue]:
        return _naive(await super().health_content(detailed))

    def status_content(self, states: tuple[ServiceState, ...]) -> dict[str, JsonValue]:
        return _naive(super().status_content(states))


class NoSystemInfo(Health):
    """Detailed health leaves system_info out."""

    async def health_content(self, detailed: bool) -> dict[str, JsonValue]:
        content = await super().health_content(detailed)
        content.pop("system_info", None)
        return content


class NoReason(Health):
    """Detailed health does not say why MLflow is degraded."""

    def details(self, item: ServiceState) -> dict[str, JsonValue]:
        details = super().details(item)
        details.pop("degradation_reason", None)
        return details


class MlflowCritical(Health):
    """/ready takes MLflow for critical: 503 while the breaker is OPEN."""

    def readiness_check(self, item: ServiceState) -> dict[str, JsonValue]:
        check = super().readiness_check(item)
        return check | {"critical": True} if item.name == "mlflow" else check


class ReadyIgnoresPostgres(Health):
    """/ready does not look at PostgreSQL's result."""

    def readiness_check(self, item: ServiceState) -> dict[str, JsonValue]:
        check = super().readiness_check(item)
        return check | {"passed": True} if item.name == "postgres" else check


class HalfOpenNotReady(Health):
    """/ready fails MLflow's check while the breaker is HALF_OPEN."""

    def readiness_check(self, item: ServiceState) -> dict[str, JsonValue]:
        check = super().readiness_check(item)
        if check.pop("recovering", False):
            check |= {"passed": False, "error": "circuit breaker is not closed"}
        return check


class NeverDegradedMode(Health):
    """/ready never says degraded_mode."""

    def ready_content(self, states: tuple[ServiceState, ...]) -> dict[str, JsonValue]:
        return super().ready_content(states) | {"degraded_mode": False}


class LiveNeedsPostgres(Health):
    """/live looks at the database."""

    async def live(self, request: Request) -> Response:
        check = await self.gateway.postgres.current()
        if not check.ok:
            return answer({"alive": False, "error": check.error}, 503)
        return await super().live(request)


class LiveNeedsPsutil(Health):
    """/live fails where memory can't be measured."""

    async def live(self, request: Request) -> Response:
        if self.gateway.system.memory_usage_mb() == 0.0:
            raise ModuleNotFoundError("No module named 'psutil'")
        return await super().live(request)


class UptimeStands(Health):
    """/live says the same uptime every time, and no memory."""

    async def live(self, request: Request) -> Response:
        return answer({"alive": True, "uptime": 1.0, "memory_usage_mb": 0})


class VersionIncomplete(Health):
    """/version leaves git_commit and build_date out."""

    def version_content(self) -> dict[str, JsonValue]:
        content = super().version_content()
        return {name: content[name] for name in ("version", "api_version")}


class StatusDisagrees(Health):
    """/health/status says healthy and CLOSED whatever /health says."""

    def status_content(self, states: tuple[ServiceState, ...]) -> dict[str, JsonValue]:
        content = super().status_content(states)
        mlflow: dict[str, JsonValue] = {"status": "healthy", "circuit_breaker": {"state": "CLOSED"}}
        return content | {
            "overall_health": "healthy",
            "mlflow": mlflow,
            "services": services_of(content) | {"mlflow": "healthy"},
        }


class StatusNotFound(Health):
    """/health/status answers 404."""

    async def status(self, request: Request) -> Response:
        return refusal("Not Found", 404)


class StatusFails(Health):
    """/health/status raises."""

    async def status(self, request: Request) -> Response:
        raise AttributeError("'NoneType' object has no attribute 'get_status'")


class QueueNeverLoads(Health):
    """The queue's check fails by an import error of the service's own, whatever the queue is."""

    async def health_content(self, detailed: bool) -> dict[str, JsonValue]:
        content = await super().health_content(detailed)
        services = services_of(content) | {"message_queue": "unhealthy"}
        status = "degraded" if content["status"] == "healthy" else content["status"]
        error = {"message_queue_error": "cannot import name 'Publisher' from 'events'"} if detailed else {}
        return content | {"status": status, "services": services} | error


class MlflowHealthWrong(Health):
    """/health/mlflow leaves out the state and the time."""

    async def mlflow(self, request: Request) -> Response:
        await super().mlflow(request)
        return answer({"connected": True, "tracking_uri": self.gateway.mlflow.tracking_uri})


class RetryTimeMissing(Health):
    """/health/mlflow does not say when to try again."""

    def mlflow_open(self, error: str | None = None) -> Response:
        return answer({"connected": False, "circuit_breaker_state": "OPEN", "error": "open"}, 503)


class CheckErrorHidden(Health):
    """An error in the check's own code is answered 200, as if MLflow were there."""

    async def mlflow(self, request: Request) -> Response:
        found = await super().mlflow(request)
        return (
            answer({"connected": True, "circuit_breaker_state": "CLOSED"})
            if found.status_code == 500
            else found
        )


class ResetDoesNothing(Health):
    """The reset is confirmed, and nothing is reset."""

    async def reset(self, request: Request) -> Response:
        breaker = self.gateway.breaker
        kept = dict(vars(breaker))
        confirmed = await super().reset(request)
        vars(breaker).update(kept)
        return confirmed


class ResetErrorHidden(Health):
    """A reset that failed is confirmed."""

    async def reset(self, request: Request) -> Response:
        found = await super().reset(request)
        return answer({"message": "reset"}) if found.status_code == 500 else found


class LeaksConnections(Health):
    """Each detailed health takes a connection of the pool and never gives it back."""

    leaked: list[Any] = []  # noqa: RUF012 - kept for the life of the process: that is the leak

    async def health_content(self, detailed: bool) -> dict[str, JsonValue]:
        pool = self.gateway.database
        if detailed and pool.in_use < pool.max_connections:
            with contextlib.suppress(Exception):
                self.leaked.append(await pool.acquire())
        return await super().health_content(detailed)


class SlowWhileMlflowIsDown(Health):
    """Every health answer takes longer while the breaker is not CLOSED."""

    delay_s = 0.5

    async def health_content(self, detailed: bool) -> dict[str, JsonValue]:
        if self.gateway.breaker.state != BreakerState.CLOSED:
            await asyncio.sleep(self.delay_s)
        return await super().health_content(detailed)


def _naive(content: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return content | {"timestamp": str(content["timestamp"]).partition("+")[0]}
