"""The event publisher: lists in redis, over connections of its own.

Publishing is never waited for and never fails a request; what could not be published is counted
and logged.
"""

import asyncio
import contextlib
import json

from pydantic import JsonValue
from redis.exceptions import RedisError

from hokusai_sandbox.gateway.answers import now
from hokusai_sandbox.gateway.checks import Watched, explained
from hokusai_sandbox.gateway.logs import Log
from hokusai_sandbox.gateway.redis_client import connect, ping
from hokusai_sandbox.gateway.settings import Settings

LIST_NAME = "hokusai:events"
LIST_LIMIT = 10_000  # events that nobody fetches don't fill redis
WAITING_LIMIT = 1_000


class MessageQueue:
    """Publishes events in the background."""

    def __init__(self, settings: Settings, log: Log) -> None:
        url = settings.queue_redis_url.get_secret_value()
        limit_s = settings.check_timeout_s * 0.9
        self._instance = settings.instance_name
        self._log = log
        self._limit_s = limit_s
        self._redis = connect(url, limit_s) if url else None
        self._waiting: asyncio.Queue[str] = asyncio.Queue(WAITING_LIMIT)
        self._worker: asyncio.Task[None] | None = None
        self.published = 0
        self.failures = 0
        self.watched = Watched("message_queue", self.check, settings.check_timeout_s) if url else None

    async def check(self) -> None:
        """Raises what is wrong with the queue's redis."""
        assert self._redis is not None
        await ping(self._redis, "message_queue", self._limit_s)

    def start(self) -> None:
        """Begin to publish."""
        if self._redis is not None:
            self._worker = asyncio.create_task(self._publish(), name="message queue")

    async def close(self) -> None:
        """Stop, and drop the connections."""
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        if self._redis is not None:
            await self._redis.aclose()

    def publish(self, event: str, **fields: JsonValue) -> None:
        """Hand an event over; returns at once."""
        if self._redis is None:
            return
        line = json.dumps({"event": event, "instance": self._instance, "timestamp": now()} | fields)
        try:
            self._waiting.put_nowait(line)
        except asyncio.QueueFull:
            self._failed("buffer full")

    async def _publish(self) -> None:
        assert self._redis is not None
        while True:
            line = await self._waiting.get()
            try:
                async with self._redis.pipeline(transaction=False) as commands:
                    commands.rpush(LIST_NAME, line)
                    commands.ltrim(LIST_NAME, -LIST_LIMIT, -1)
                    await commands.execute()
                self.published += 1
            except (RedisError, OSError) as error:
                self._failed(explained(error))

    def _failed(self, error: str) -> None:
        self.failures += 1
        self._log.warning("event not published", error=error, failures=self.failures)
