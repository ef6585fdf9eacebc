"""Usage reports to the auth service: gathered by key, sent in the background, never waited for."""

import asyncio
import contextlib
from collections import Counter

import aiohttp

from hokusai_sandbox.gateway.auth_client import AuthClient
from hokusai_sandbox.gateway.checks import explained
from hokusai_sandbox.gateway.logs import Log

GATHER_S = 0.2
KEYS_LIMIT = 10_000


class UsageReports:
    """Counts uses, and reports them. A report that fails is dropped, counted and logged."""

    def __init__(self, auth: AuthClient, log: Log) -> None:
        self._auth = auth
        self._log = log
        self._uses: dict[str, Counter[str]] = {}
        self._some = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self.sent = 0
        self.failures = 0

    def start(self) -> None:
        """Begin to report."""
        self._worker = asyncio.create_task(self._report(), name="usage reports")

    async def close(self) -> None:
        """Stop; what is not yet sent is lost."""
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker

    async def used(self, key_id: str, endpoint: str) -> None:
        """Note one use; returns at once."""
        if key_id in self._uses or len(self._uses) < KEYS_LIMIT:
            self._uses.setdefault(key_id, Counter())[endpoint] += 1
            self._some.set()

    async def _report(self) -> None:
        while True:
            await self._some.wait()
            await asyncio.sleep(GATHER_S)
            self._some.clear()
            uses, self._uses = self._uses, {}
            for key_id, endpoints in uses.items():
                try:
                    await self._auth.report_usage(key_id, endpoints.total(), endpoints)
                    self.sent += 1
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    self.failures += 1
                    self._log.warning("usage not reported", key_id=key_id, error=explained(error))
