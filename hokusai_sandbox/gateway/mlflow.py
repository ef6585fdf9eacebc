"""The way to MLflow: one session, the breaker, and the last known result.

Only proxied calls and `GET /health/mlflow` count in the breaker. The background looks at MLflow
while the breaker is CLOSED and otherwise leaves it alone, so that an OPEN breaker means no
connection at all.
"""

import asyncio
import time
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from hokusai_sandbox.breaker import BreakerState, MLflowCircuitBreaker
from hokusai_sandbox.gateway.checks import (
    CONNECT_SHARE,
    Check,
    Unwell,
    Watched,
    connect_timed_out,
    explained,
    timed_out,
)
from hokusai_sandbox.gateway.settings import Settings

KEEP_ALIVE_S = 3.0  # shorter than MLflow's own 5 s, so that no call meets a connection being closed


class MlflowFailed(Unwell):
    """MLflow could not be reached, or answered 5xx. The message says what was seen."""


class MlflowTimedOut(MlflowFailed):
    """MLflow did not answer in time."""


class Mlflow:
    """MLflow as this instance sees it."""

    def __init__(self, settings: Settings, breaker: MLflowCircuitBreaker) -> None:
        self.breaker = breaker
        self.settings = settings
        self.base_url = settings.mlflow_tracking_uri.rstrip("/")
        self.tracking_uri = _without_password(self.base_url)
        self.watched = Watched("mlflow", self._probe, settings.check_timeout_s)
        self.last_success: float | None = None  # of time.monotonic()
        self.session: aiohttp.ClientSession

    async def open(self) -> None:
        """Make the session; connects nowhere yet."""
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=100, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=1),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def close(self) -> None:
        """Drop the connections."""
        await self.session.close()

    @property
    def state(self) -> BreakerState:
        """The breaker's state, read without moving it."""
        return self.breaker.state

    async def ask(self, path: str, limit_s: float) -> tuple[int, float]:
        """GET a path of MLflow: its status and the time in ms.

        Raises MlflowTimedOut, MlflowFailed (which a 5xx is too)."""
        started = time.perf_counter()
        limit = aiohttp.ClientTimeout(total=None, sock_connect=limit_s * CONNECT_SHARE)
        try:
            async with (
                asyncio.timeout(limit_s),
                self.session.get(self.base_url + path, timeout=limit) as response,
            ):
                await response.read()
        except aiohttp.ConnectionTimeoutError:
            raise MlflowTimedOut(connect_timed_out("MLflow", limit_s * CONNECT_SHARE)) from None
        except TimeoutError:
            raise MlflowTimedOut(timed_out("MLflow", limit_s)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise MlflowFailed(unreachable(error)) from None
        if response.status >= 500:
            raise MlflowFailed(f"MLflow answered {response.status}")
        return response.status, (time.perf_counter() - started) * 1000

    async def counted_check(self, limit_s: float) -> float:
        """Ask MLflow whether it is well, for the breaker too: the response time in ms.

        Raises MlflowFailed."""
        started = time.monotonic()
        try:
            _, elapsed_ms = await self.ask("/health", limit_s)
        except MlflowFailed as error:
            self.failed(str(error), started)
            raise
        self.succeeded(started)
        return elapsed_ms

    def succeeded(self, started: float) -> None:
        """A counted call was answered."""
        self.breaker.record_success()
        self._known(None, started)

    def failed(self, error: str, started: float) -> None:
        """A counted call failed."""
        self.breaker.record_failure()
        self._known(error, started)

    async def keep_fresh(self, interval_s: float) -> None:
        """Look again and again while the breaker is CLOSED, until cancelled."""
        while True:
            if self.state is BreakerState.CLOSED:
                await self.watched.refresh()
            await asyncio.sleep(interval_s)

    def _known(self, error: str | None, started: float) -> None:
        finished = time.monotonic()
        if error is None:
            self.last_success = finished
        self.watched.last = Check(error is None, error, (finished - started) * 1000, started, finished)

    async def _probe(self) -> None:
        started = time.monotonic()
        try:
            await self.ask("/health", self.settings.check_timeout_s * 0.9)
        except MlflowTimedOut:
            # Slow for the probe, but a real call came through meanwhile: busy, not dead.
            if self.last_success is None or self.last_success < started:
                raise


def unreachable(error: BaseException) -> str:
    """One line that tells refused from reset from not resolved."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"MLflow's name does not resolve: {error.host}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"MLflow is unreachable: {explained(error.os_error)}"
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError | aiohttp.ClientOSError):
        return "MLflow is unreachable: connection reset"
    return f"MLflow is unreachable: {explained(error)}"


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
