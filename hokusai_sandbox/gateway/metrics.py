"""/metrics: Prometheus text, or JSON where no Prometheus client is there."""

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastapi import Request
from pydantic import JsonValue
from starlette.responses import Response

from hokusai_sandbox.breaker import BreakerState
from hokusai_sandbox.gateway.answers import answer
from hokusai_sandbox.gateway.state import Gateway

if TYPE_CHECKING:
    from prometheus_client.core import Metric

STATE_VALUES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class Metrics:
    """Collected when asked for: serving costs nothing for it but a few counts."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        try:
            self._client: Any = importlib.import_module("prometheus_client")
        except ImportError:  # pragma: no cover - it is a dependency of ours
            self._client = None
        else:
            self._registry = self._client.CollectorRegistry(auto_describe=False)
            self._registry.register(self)
            self._client.ProcessCollector(registry=self._registry)

    async def metrics(self, _request: Request) -> Response:
        """The whole of /metrics."""
        if self._client is None or self.gateway.failpoints.is_on("prometheus_missing"):
            return answer(self.fallback())
        text = self._client.generate_latest(self._registry)
        return Response(text, 200, None, self._client.CONTENT_TYPE_LATEST)

    def fallback(self) -> dict[str, JsonValue]:
        """The four fields of the contract."""
        traffic = self.gateway.traffic
        return {
            "requests_total": traffic.requests,
            "requests_per_second": round(traffic.requests / max(traffic.uptime_s, 1e-3), 3),
            "average_response_time_ms": round(traffic.total_ms / max(traffic.requests, 1), 3),
            "active_connections": traffic.active,
        }

    def connection_status(self) -> int:
        """1 while MLflow is connected, as far as is known."""
        state = self.gateway.mlflow_state()
        return int(state.status != "degraded" and state.check is not None and state.check.ok)

    def breaker_state(self) -> int:
        """0 CLOSED, 1 HALF_OPEN, 2 OPEN."""
        return STATE_VALUES[self.gateway.breaker.state]

    def collect(self) -> "Iterator[Metric]":
        """The families, for the Prometheus client."""
        core = importlib.import_module("prometheus_client.core")
        gateway, traffic = self.gateway, self.gateway.traffic

        def gauge(name: str, says: str, value: float) -> "Metric":
            made: Metric = core.GaugeMetricFamily(name, says, value=value)
            return made

        def counter(name: str, says: str, value: float) -> "Metric":
            made: Metric = core.CounterMetricFamily(name, says, value=value)
            return made

        yield gauge("mlflow_connection_status", "1 while MLflow is connected", self.connection_status())
        yield gauge("mlflow_circuit_breaker_state", "0 CLOSED, 1 HALF_OPEN, 2 OPEN", self.breaker_state())
        yield gauge("hokusai_uptime_seconds", "Since the process began to serve", traffic.uptime_s)
        yield gauge("hokusai_http_requests_active", "Requests being served", traffic.active)
        requests = core.CounterMetricFamily(
            "hokusai_http_requests", "Requests served", labels=("method", "route", "status")
        )
        for (method, route, status), count in traffic.by_route.items():
            requests.add_metric((method, route, str(status)), count)
        yield requests
        yield counter("hokusai_http_request_seconds", "Time spent on them", traffic.total_ms / 1000)
        pool = gateway.database
        yield gauge("hokusai_db_pool_size", "Open connections to PostgreSQL", pool.connections)
        yield gauge("hokusai_db_pool_in_use", "Of these, in use", pool.in_use)
        yield gauge("hokusai_db_pool_max", "Most that may be open", pool.max_connections)
        services = core.GaugeMetricFamily(
            "hokusai_dependency_up", "1 while the last check was good", labels=("service",)
        )
        for item in (*gateway.watched(), gateway.mlflow.watched):
            services.add_metric((item.name,), int(item.last is not None and item.last.ok))
        yield services
        yield counter("hokusai_key_cache_failures", "Look-ups that redis failed", gateway.cache.failures)
        yield counter("hokusai_usage_report_failures", "Usage reports lost", gateway.usage.failures)
        yield counter("hokusai_queue_published", "Events published", gateway.queue.published)
        yield counter("hokusai_queue_publish_failures", "Events lost", gateway.queue.failures)
