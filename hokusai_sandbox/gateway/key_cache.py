"""Validated keys and rate counts in redis, where both instances see them.

Keys stand there as SHA-256 only. Without redis nothing is cached, and requests are counted in
this process.
"""

import hashlib
import time
from dataclasses import dataclass

from redis.exceptions import RedisError

from hokusai_sandbox.gateway.caller import Caller
from hokusai_sandbox.gateway.checks import Watched
from hokusai_sandbox.gateway.redis_client import connect, ping
from hokusai_sandbox.gateway.settings import Settings

WINDOW_S = 3600

# One round trip for a cached key: what was validated, and how often it was used in this window.
_LOOK_UP = """
local known = redis.call('GET', KEYS[1])
if not known then return {false, 0} end
local used = redis.call('INCR', KEYS[2])
if used == 1 then redis.call('EXPIRE', KEYS[2], ARGV[1]) end
return {known, used}
"""


def digest(key: str) -> str:
    """What stands for a key wherever it is kept."""
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True)
class Usage:
    """How often a key was used in the window that ends at `resets_at` (epoch seconds)."""

    used: int
    resets_at: int

    def retry_after_s(self) -> int:
        """Whole seconds until the window ends, at least 1."""
        return max(1, self.resets_at - int(time.time()))


class KeyCache:
    """Raises nothing: a redis that is gone or slow is the same as one that knows nothing."""

    def __init__(self, settings: Settings) -> None:
        self._cache_s = settings.key_cache_s
        self._timeout_s = settings.cache_timeout_s
        url = settings.redis_url.get_secret_value()
        self._redis = connect(url, settings.cache_timeout_s) if url else None
        self._check_redis = connect(url, settings.check_timeout_s * 0.9) if url else None
        self._look_up = self._redis.register_script(_LOOK_UP) if self._redis is not None else None
        self._check_limit_s = settings.check_timeout_s * 0.9
        self._local: dict[str, int] = {}
        self._local_window = 0
        self.failures = 0
        self.watched = Watched("redis", self.check, settings.check_timeout_s) if url else None

    async def check(self) -> None:
        """Raises what is wrong with redis."""
        assert self._check_redis is not None
        await ping(self._check_redis, "redis", self._check_limit_s)

    async def close(self) -> None:
        """Drop the connections."""
        for client in (self._redis, self._check_redis):
            if client is not None:
                await client.aclose()

    async def get(self, key: str) -> tuple[Caller, Usage] | None:
        """Who a validated key belongs to, and its use with this one; None when it is not known."""
        if self._look_up is None or not self._usable():
            return None
        window = _window()
        name = digest(key)
        try:
            known, used = await self._look_up(
                keys=[_key_name(name), _rate_name(name, window)], args=[WINDOW_S]
            )
        except (RedisError, OSError):
            self.failures += 1
            return None
        if not known:
            return None
        try:
            caller = Caller.model_validate_json(known)
        except ValueError:  # not ours, or of another version
            return None
        self._remember(name, window, int(used))
        return caller, Usage(int(used), _window_end(window))

    async def put(self, key: str, caller: Caller) -> Usage:
        """Keep a valid answer, count this use, and say how often the key was used."""
        window = _window()
        name = digest(key)
        if self._redis is not None and self._usable():
            try:
                async with self._redis.pipeline(transaction=False) as commands:
                    commands.set(_key_name(name), caller.model_dump_json(), ex=self.lifetime_s())
                    commands.incr(_rate_name(name, window))
                    commands.expire(_rate_name(name, window), WINDOW_S)
                    answers = await commands.execute()
                self._remember(name, window, int(answers[1]))
                return Usage(int(answers[1]), _window_end(window))
            except (RedisError, OSError):
                self.failures += 1
        return self.count_here(name, window)

    def lifetime_s(self) -> int | None:
        """How long a valid answer is kept."""
        return self._cache_s

    def count_here(self, name: str, window: int) -> Usage:
        """The use of a key as this process alone knows it."""
        used = self._remember(name, window, self._local.get(name, 0) + 1)
        return Usage(used, _window_end(window))

    def _remember(self, name: str, window: int, used: int) -> int:
        if window != self._local_window:
            self._local_window = window
            self._local.clear()
            used = 1
        self._local[name] = used
        return used

    def _usable(self) -> bool:
        """Not while the last check failed: its time-out would be added to every request."""
        last = self.watched.last if self.watched is not None else None
        return last is None or last.ok


def _window() -> int:
    return int(time.time()) // WINDOW_S


def _window_end(window: int) -> int:
    return (window + 1) * WINDOW_S


def _key_name(name: str) -> str:
    return f"hokusai:api-key:{name}"


def _rate_name(name: str, window: int) -> str:
    return f"hokusai:rate:{name}:{window}"
