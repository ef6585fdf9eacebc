"""/api/health/mlflow*: the way to MLflow looked at step by step. Not counted by the breaker, and
silent while it is OPEN."""

import asyncio

from fastapi import Request
from pydantic import JsonValue
from starlette.responses import Response

from hokusai_sandbox.breaker import BreakerState
from hokusai_sandbox.gateway.answers import answer, now
from hokusai_sandbox.gateway.mlflow import MlflowFailed
from hokusai_sandbox.gateway.state import Gateway

STEPS = {
    "connectivity": "/health",
    "experiments_api": "/api/2.0/mlflow/experiments/search?max_results=1",
    "artifacts_api": "/api/2.0/mlflow-artifacts/artifacts",
}


class MlflowDiagnosis:
    """The three diagnosis endpoints."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def summary(self, _request: Request) -> Response:
        """Whether each step works."""
        return self.as_answer(await self.checks())

    async def detailed(self, _request: Request) -> Response:
        """The same, with addresses, times and the breaker."""
        mlflow = self.gateway.mlflow
        return self.as_answer(
            await self.checks(),
            details={
                "tracking_uri": mlflow.tracking_uri,
                "circuit_breaker": self.gateway.breaker.get_status(),
                "last_known_error": mlflow.watched.last.error if mlflow.watched.last else None,
            },
        )

    async def connectivity(self, _request: Request) -> Response:
        """The same, for those who ask for the connection alone."""
        return self.as_answer(await self.checks(), tracking_uri=self.gateway.mlflow.tracking_uri)

    async def checks(self) -> dict[str, dict[str, JsonValue]]:
        """Every step, at the same time."""
        results = await asyncio.gather(*(self.step(path) for path in STEPS.values()))
        return dict(zip(STEPS, results, strict=True))

    async def step(self, path: str) -> dict[str, JsonValue]:
        """One step: `status`, `message`, and the time where there is one."""
        if self.gateway.breaker.state == BreakerState.OPEN:
            return {"status": "unhealthy", "message": "circuit breaker is OPEN: MLflow is not called"}
        try:
            status, elapsed_ms = await self.gateway.mlflow.ask(path, self.gateway.settings.proxy_timeout_s)
        except MlflowFailed as error:
            return {"status": "unhealthy", "message": str(error)}
        well = status < 400
        return {
            "status": "healthy" if well else "unhealthy",
            "message": f"MLflow answered {status}",
            "response_time_ms": round(elapsed_ms, 3),
        }

    def as_answer(self, checks: dict[str, dict[str, JsonValue]], **more: JsonValue) -> Response:
        """503 when one step does not work."""
        well = all(item["status"] == "healthy" for item in checks.values())
        content = {"status": "healthy" if well else "unhealthy", "checks": checks, "timestamp": now()}
        return answer(content | more, 200 if well else 503)
