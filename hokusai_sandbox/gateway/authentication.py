"""Who may pass: the key is looked up in the cache, else the auth service is asked."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Scope

from hokusai_sandbox.gateway.answers import refusal
from hokusai_sandbox.gateway.auth_client import (
    AuthClient,
    AuthLimited,
    AuthRefused,
    AuthUnavailable,
)
from hokusai_sandbox.gateway.caller import Caller
from hokusai_sandbox.gateway.key_cache import KeyCache, Usage
from hokusai_sandbox.gateway.logs import Log
from hokusai_sandbox.gateway.presented_key import looks_like_key, presented_key

OPEN_PATHS = frozenset(
    {"/health", "/ready", "/live", "/version", "/metrics", "/docs", "/redoc", "/openapi.json"}
)
OPEN_PREFIXES = ("/health/", "/docs/")
READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Admitted:
    """A request that may pass, and the rate-limit headers for its answer."""

    caller: Caller
    headers: Mapping[str, str]


class Authenticator:
    """Decides about one request at a time."""

    def __init__(self, auth: AuthClient, cache: KeyCache, log: Log) -> None:
        self.auth = auth
        self.cache = cache
        self.log = log

    def needs_key(self, method: str, path: str) -> bool:
        """Probes, scrapers and the documentation need none; changing state always does."""
        return method not in READING or not (path in OPEN_PATHS or path.startswith(OPEN_PREFIXES))

    def key_of(self, scope: Scope) -> str | None:
        """The key that a request presents."""
        return presented_key(scope["headers"])

    async def admit(self, scope: Scope) -> Admitted | Response:
        """Let the request pass, or say why not: 401, 429, or 503 when nobody can tell."""
        key = self.key_of(scope)
        if key is None:
            return refusal("API key required", 401, {"WWW-Authenticate": "Bearer"})
        try:
            caller, usage = await self.identify(key)
        except AuthRefused:
            return self.refuse_key()
        except AuthLimited as limited:
            return self.limited({}, limited.retry_after)
        except AuthUnavailable as error:
            self.log.warning("key not validated", error=str(error))
            return refusal(f"Authentication service unavailable: {error}", 503, {"Retry-After": "1"})
        headers = self.limit_headers(caller, usage)
        if self.past_limit(caller, usage):
            return self.limited(headers, str(usage.retry_after_s()))
        return Admitted(caller, headers)

    async def identify(self, key: str) -> tuple[Caller, Usage]:
        """Whose key it is and how often it was used.

        Raises AuthRefused, AuthLimited, AuthUnavailable."""
        if not looks_like_key(key):
            raise AuthRefused
        known = await self.cache.get(key)
        if known is not None:
            return known
        caller = await self.auth.validate(key)
        return caller, await self.cache.put(key, caller)

    def past_limit(self, caller: Caller, usage: Usage) -> bool:
        """Whether this use is one too many."""
        return caller.rate_limit_per_hour is not None and usage.used > caller.rate_limit_per_hour

    def refuse_key(self) -> Response:
        """The answer to a key that is not valid."""
        return refusal("Invalid or expired API key", 401, {"WWW-Authenticate": "Bearer"})

    def limited(self, headers: Mapping[str, str], retry_after: str) -> Response:
        """The answer to a key past its limit."""
        return refusal("Rate limit exceeded", 429, {**headers, "Retry-After": retry_after})

    def limit_headers(self, caller: Caller, usage: Usage) -> Mapping[str, str]:
        """`X-RateLimit-*` of an answer; `Reset` is in epoch seconds."""
        limit = caller.rate_limit_per_hour
        if limit is None:
            return {}
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - usage.used)),
            "X-RateLimit-Reset": str(usage.resets_at),
        }
