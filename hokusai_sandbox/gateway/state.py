"""The parts of a running gateway, and what its health answers are made of."""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from hokusai_sandbox.breaker import BreakerState, MLflowCircuitBreaker
from hokusai_sandbox.gateway.auth_client import AuthClient
from hokusai_sandbox.gateway.authentication import Authenticator
from hokusai_sandbox.gateway.checks import Check, Watched
from hokusai_sandbox.gateway.database import Database
from hokusai_sandbox.gateway.failpoints import FailPoints
from hokusai_sandbox.gateway.key_cache import KeyCache
from hokusai_sandbox.gateway.logs import Log
from hokusai_sandbox.gateway.message_queue import MessageQueue
from hokusai_sandbox.gateway.mlflow import Mlflow
from hokusai_sandbox.gateway.settings import Settings
from hokusai_sandbox.gateway.system import System
from hokusai_sandbox.gateway.traffic import Traffic
from hokusai_sandbox.gateway.usage import UsageReports

CRITICAL = frozenset({"postgres"})
FIRST_LOOK_S = 1.5


@dataclass(frozen=True)
class ServiceState:
    """What is known of one dependency: `status` as the contract spells it."""

    name: str
    status: str
    check: Check | None

    @property
    def error(self) -> str | None:
        """Why it is not well."""
        return self.check.error if self.check is not None else None


@dataclass
class Gateway:
    """One instance and everything it holds."""

    settings: Settings
    log: Log
    failpoints: FailPoints
    system: System
    traffic: Traffic
    breaker: MLflowCircuitBreaker
    mlflow: Mlflow
    database: Database
    cache: KeyCache
    queue: MessageQueue
    auth: AuthClient
    authenticator: Authenticator
    usage: UsageReports
    postgres: Watched
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def open(self) -> None:
        """Start the background, and look once at everything, so that the first answer is true."""
        await self.mlflow.open()
        await self.auth.open()
        await self.database.open()
        self.queue.start()
        self.usage.start()
        watched = self.watched()
        looks = [asyncio.create_task(item.refresh()) for item in (*watched, self.mlflow.watched)]
        await asyncio.wait(looks, timeout=FIRST_LOOK_S)
        interval_s = self.settings.check_interval_s
        for item in watched:
            self._background(item.keep_fresh(interval_s))
        self._background(self.mlflow.keep_fresh(interval_s))

    async def close(self) -> None:
        """Stop the background and drop every connection."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.usage.close()
        await self.queue.close()
        await self.cache.close()
        await self.mlflow.close()
        await self.auth.close()
        await self.database.close()

    def watched(self) -> tuple[Watched, ...]:
        """Deployed dependencies that health answers may look at themselves (not MLflow)."""
        found = (self.postgres, self.cache.watched, self.queue.watched)
        return tuple(item for item in found if item is not None)

    async def states(self) -> tuple[ServiceState, ...]:
        """Every dependency's state, looked at together; never waits for MLflow."""
        names = ("redis", "message_queue", "postgres")
        looked = (self.cache.watched, self.queue.watched, self.postgres)
        results = await asyncio.gather(*(self.state_of(*pair) for pair in zip(names, looked, strict=True)))
        return (self.mlflow_state(), *results)

    async def state_of(self, name: str, watched: Watched | None) -> ServiceState:
        """One dependency's state; one that is not deployed is disabled, and no failure."""
        if watched is None:
            return ServiceState(name, "disabled", None)
        check = await watched.current()
        return ServiceState(name, "healthy" if check.ok else "unhealthy", check)

    def mlflow_state(self) -> ServiceState:
        """The breaker's state, and where it is CLOSED the last known result."""
        last = self.mlflow.watched.last
        if self.breaker.state == BreakerState.OPEN:
            return ServiceState("mlflow", "degraded", last)
        if self.breaker.state == BreakerState.HALF_OPEN:
            return ServiceState("mlflow", "recovering", last)
        return ServiceState("mlflow", "healthy" if last is not None and last.ok else "unhealthy", last)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))


def overall(states: tuple[ServiceState, ...]) -> str:
    """The overall status of the contract."""
    counted = [item for item in states if item.status != "disabled"]
    bad = [item for item in counted if item.status != "healthy"]
    unhealthy = [item for item in counted if item.status == "unhealthy"]
    if not bad:
        return "healthy"
    if any(item.name in CRITICAL for item in unhealthy) or (unhealthy and len(bad) == len(counted)):
        return "unhealthy"
    return "degraded"
