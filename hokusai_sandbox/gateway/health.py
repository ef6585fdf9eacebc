"""Health, readiness, liveness and version, as the contract writes them."""

import asyncio
import time

from fastapi import Request
from pydantic import JsonValue
from starlette.responses import Response

from hokusai_sandbox.breaker import BreakerState
from hokusai_sandbox.gateway.answers import answer, now
from hokusai_sandbox.gateway.checks import Check
from hokusai_sandbox.gateway.mlflow import MlflowFailed
from hokusai_sandbox.gateway.state import CRITICAL, Gateway, ServiceState, overall

API_VERSION = "v1"
SERVICE_NAME = "hokusai-registry"


class Health:
    """The handlers. Each takes the request and returns the whole answer."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.settings = gateway.settings

    async def health(self, request: Request) -> Response:
        """Always 200 while the process can answer."""
        detailed = request.query_params.get("detailed", "").lower() in ("true", "1", "yes")
        return answer(await self.health_content(detailed))

    async def health_content(self, detailed: bool) -> dict[str, JsonValue]:
        """What /health says."""
        states = await self.gateway.states()
        content: dict[str, JsonValue] = {
            "status": overall(states),
            "version": self.settings.version,
            "services": {item.name: item.status for item in states},
            "timestamp": now(),
        }
        if detailed:
            system = self.gateway.system
            content["system_info"] = {
                "cpu_percent": system.cpu_percent(),
                "memory_percent": system.memory_percent(),
            }
            for item in states:
                content[f"{item.name}_details"] = self.details(item)
                if item.error is not None:
                    content[f"{item.name}_error"] = item.error
        return content

    def details(self, item: ServiceState) -> dict[str, JsonValue]:
        """What `detailed=true` adds for one dependency."""
        details: dict[str, JsonValue] = {
            "status": item.status,
            "response_time_ms": _ms(item.check),
        }
        if item.name == "mlflow":
            details["tracking_uri"] = self.gateway.mlflow.tracking_uri
            details["circuit_breaker"] = self.gateway.breaker.get_status()
            reason = self.degradation_reason()
            if reason is not None:
                details["degradation_reason"] = reason
        elif item.name == "postgres":
            pool = self.gateway.database
            details["pool"] = {
                "size": pool.connections,
                "in_use": pool.in_use,
                "max_size": pool.max_connections,
            }
        return details

    def degradation_reason(self) -> str | None:
        """Why MLflow is degraded or recovering."""
        status = self.gateway.breaker.get_status()
        if self.gateway.breaker.state == BreakerState.OPEN:
            return (
                f"Circuit breaker OPEN after {status.get('failure_count')} failures;"
                f" next try in {status.get('time_until_retry') or 0.0:.1f} s"
            )
        if self.gateway.breaker.state == BreakerState.HALF_OPEN:
            return "Circuit breaker HALF_OPEN: trying whether MLflow is back"
        return None

    async def ready(self, _request: Request) -> Response:
        """200 while traffic can be served, else 503."""
        content = self.ready_content(await self.gateway.states())
        return answer(content, 200 if content["can_serve_traffic"] else 503)

    def ready_content(self, states: tuple[ServiceState, ...]) -> dict[str, JsonValue]:
        """What /ready says."""
        checks = [self.readiness_check(item) for item in states if item.status != "disabled"]
        is_ready = all(item["passed"] for item in checks)
        can_serve = all(item["passed"] for item in checks if item["critical"])
        return {
            "ready": is_ready,
            "can_serve_traffic": can_serve,
            "degraded_mode": can_serve and not is_ready,
            "checks": list[JsonValue](checks),
            "timestamp": now(),
        }

    def readiness_check(self, item: ServiceState) -> dict[str, JsonValue]:
        """One of `checks`. A breaker that is trying again passes, and says so."""
        check: dict[str, JsonValue] = {
            "name": item.name,
            "passed": item.status in ("healthy", "recovering"),
            "critical": item.name in CRITICAL,
        }
        if item.status == "recovering":
            check["recovering"] = True
        elif not check["passed"]:
            check["error"] = (self.degradation_reason() if item.name == "mlflow" else None) or item.error
        return check

    async def live(self, _request: Request) -> Response:
        """Depends on nothing."""
        return answer(
            {
                "alive": True,
                "uptime": round(self.gateway.traffic.uptime_s, 6),
                "memory_usage_mb": self.gateway.system.memory_usage_mb(),
                "timestamp": now(),
            }
        )

    async def version(self, _request: Request) -> Response:
        """What is deployed."""
        return answer(self.version_content())

    def version_content(self) -> dict[str, JsonValue]:
        """What /version says."""
        return {
            "version": self.settings.version,
            "build_date": self.settings.build_date,
            "git_commit": self.settings.git_commit,
            "api_version": API_VERSION,
        }

    async def status(self, _request: Request) -> Response:
        """The service's own summary."""
        return answer(self.status_content(await self.gateway.states()))

    def status_content(self, states: tuple[ServiceState, ...]) -> dict[str, JsonValue]:
        """What /health/status says."""
        return {
            "service_name": SERVICE_NAME,
            "api_version": API_VERSION,
            "overall_health": overall(states),
            "services": {item.name: item.status for item in states},
            "mlflow": {
                "status": states[0].status,
                "circuit_breaker": self.gateway.breaker.get_status(),
            },
            "environment": self.settings.environment,
            "timestamp": now(),
        }

    async def root(self, _request: Request) -> Response:
        """What this service is."""
        return answer(
            {"service_name": SERVICE_NAME, "api_version": API_VERSION, "version": self.settings.version}
        )

    async def mlflow(self, _request: Request) -> Response:
        """A real, counted call to MLflow; 503 while the breaker is OPEN."""
        try:
            self.gateway.failpoints.trip("mlflow_check_breaks")
            return await self.mlflow_answer()
        except Exception as error:  # the contract: an error in our own code is a 500 that says so
            self.gateway.log.error("MLflow check broke", error=f"{type(error).__name__}: {error}")
            return answer(
                {
                    "connected": False,
                    "circuit_breaker_state": "UNKNOWN",
                    "tracking_uri": self.gateway.mlflow.tracking_uri,
                    "error": f"The check itself failed: {type(error).__name__}: {error}",
                    "timestamp": now(),
                },
                500,
            )

    async def mlflow_answer(self) -> Response:
        """/health/mlflow while its own code works."""
        mlflow = self.gateway.mlflow
        error: str | None = None
        started = time.perf_counter()
        if self.gateway.breaker.is_open():
            return self.mlflow_open()
        try:
            elapsed_ms = await mlflow.counted_check(
                min(self.settings.proxy_timeout_s, 0.8 * self.settings.health_timeout_s)
            )
        except MlflowFailed as failure:
            error = str(failure)
            elapsed_ms = (time.perf_counter() - started) * 1000
            if self.gateway.breaker.state == BreakerState.OPEN:
                return self.mlflow_open(error)
        content: dict[str, JsonValue] = {
            "connected": error is None,
            "circuit_breaker_state": str(self.gateway.breaker.state),
            "tracking_uri": mlflow.tracking_uri,
            "response_time_ms": round(elapsed_ms, 3),
            "timestamp": now(),
        }
        if error is not None:
            content["error"] = error
        return answer(content)

    def mlflow_open(self, error: str | None = None) -> Response:
        """The answer while the breaker is OPEN."""
        retry_s = max(0.0, self.gateway.breaker.get_status().get("time_until_retry") or 0.0)
        reason = "Circuit breaker is OPEN: MLflow is not called"
        return answer(
            {
                "connected": False,
                "circuit_breaker_state": str(self.gateway.breaker.state),
                "tracking_uri": self.gateway.mlflow.tracking_uri,
                "response_time_ms": None,
                "error": f"{reason} ({error})" if error else reason,
                "can_retry_in_seconds": round(retry_s, 3),
                "timestamp": now(),
            },
            503,
            {"Retry-After": str(max(1, -int(-retry_s // 1)))},
        )

    async def reset(self, request: Request) -> Response:
        """Force the breaker to CLOSED. The caller was authenticated at the edge."""
        try:
            self.gateway.failpoints.trip("reset_fails")
            self.gateway.breaker.force_reset()
        except Exception as error:
            self.gateway.log.error("reset failed", error=f"{type(error).__name__}: {error}")
            return answer({"detail": f"The circuit breaker could not be reset: {error}"}, 500)
        # The last known result is of before the reset: look again, without waiting for it.
        self._look = asyncio.create_task(self.gateway.mlflow.watched.refresh())
        caller = request.scope.get("caller")
        return answer(
            {
                "message": "MLflow circuit breaker was reset",
                "reset_by": caller.user_id if caller is not None else "anonymous",
                "timestamp": now(),
            }
        )


def _ms(check: Check | None) -> float | None:
    return round(check.response_time_ms, 3) if check is not None else None


def services_of(content: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The state of every service by its name, of what /health or /health/status says."""
    services = content["services"]
    assert isinstance(services, dict)
    return services
