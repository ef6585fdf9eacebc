"""Keys looked for, validated, cached or limited in a wrong way."""

import time
from collections.abc import Mapping
from urllib.parse import parse_qs

import aiohttp
from redis.exceptions import RedisError
from starlette.responses import Response
from starlette.types import Scope

from hokusai_sandbox.gateway.answers import refusal
from hokusai_sandbox.gateway.auth_client import AuthClient, Question
from hokusai_sandbox.gateway.authentication import Admitted, Authenticator
from hokusai_sandbox.gateway.caller import Caller
from hokusai_sandbox.gateway.key_cache import KeyCache, Usage


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")


class ProbesNeedKey(Authenticator):
    """Every path needs a key, probes too."""

    def needs_key(self, method: str, path: str) -> bool:
        return True


class ResetWithoutKey(Authenticator):
    """Whatever lies under /health needs no key, the reset included."""

    def needs_key(self, method: str, path: str) -> bool:
        return not path.startswith("/health") and super().needs_key(method, path)


class NothingNeedsKey(Authenticator):
    """A request without a key passes as a default user."""

    async def admit(self, scope: Scope) -> Admitted | Response:
        if self.key_of(scope) is None:
            return Admitted(Caller(user_id="default", key_id="none"), {})
        return await super().admit(scope)


class BearerCaseSensitive(Authenticator):
    """Only `Bearer`, spelled so, is taken for a scheme."""

    def key_of(self, scope: Scope) -> str | None:
        scheme = _header(scope, b"authorization").partition(b" ")[0]
        if scheme.lower() == b"bearer" and scheme != b"Bearer":
            return None
        return super().key_of(scope)


class TwoSpacesRefused(Authenticator):
    """Two spaces after the scheme make the key another one."""

    def key_of(self, scope: Scope) -> str | None:
        return None if b"  " in _header(scope, b"authorization") else super().key_of(scope)


class SchemeNotNeeded(Authenticator):
    """A bare key in `Authorization` is accepted, without scheme or space."""

    def key_of(self, scope: Scope) -> str | None:
        value = _header(scope, b"authorization").decode("latin-1")
        found = value.find("hk_")
        return value[found:] if found >= 0 else super().key_of(scope)


class KeyHeaderIgnored(Authenticator):
    """`X-API-Key` is not looked at."""

    def key_of(self, scope: Scope) -> str | None:
        return super().key_of(scope) if _header(scope, b"authorization") else None


class ApiKeySchemeIgnored(Authenticator):
    """`Authorization: ApiKey` is not accepted."""

    def key_of(self, scope: Scope) -> str | None:
        scheme = _header(scope, b"authorization").partition(b" ")[0]
        return None if scheme.lower() == b"apikey" else super().key_of(scope)


class KeyInQuery(Authenticator):
    """`?api_key=` is accepted."""

    def key_of(self, scope: Scope) -> str | None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        return super().key_of(scope) or query.get("api_key", [None])[0]


class BadKey500(Authenticator):
    """A key that is not valid ends in an error of the API's own."""

    def refuse_key(self) -> Response:
        raise ValueError("auth service refused the key")


class BadKey403(Authenticator):
    """A key that is not valid gets 403."""

    def refuse_key(self) -> Response:
        return refusal("Forbidden", 403)


class KeyInAnswer(Authenticator):
    """The refusal repeats the key."""

    async def admit(self, scope: Scope) -> Admitted | Response:
        found = await super().admit(scope)
        if isinstance(found, Response) and found.status_code == 401 and self.key_of(scope):
            return refusal(f"Invalid API key: {self.key_of(scope)}", 401)
        return found


class KeyInRedirect(Authenticator):
    """A path that ends in a slash is redirected, with the key in the new address."""

    async def admit(self, scope: Scope) -> Admitted | Response:
        path, key = scope["path"], self.key_of(scope)
        if len(path) > 1 and path.endswith("/") and key is not None:
            return Response(status_code=307, headers={"Location": f"{path.rstrip('/')}?api_key={key}"})
        return await super().admit(scope)


class LimitIgnored(Authenticator):
    """Uses past the limit are served."""

    def past_limit(self, caller: Caller, usage: Usage) -> bool:
        return False


class LimitWithoutRetryAfter(Authenticator):
    """429 does not say when to try again."""

    def limited(self, headers: Mapping[str, str], retry_after: str) -> Response:
        return refusal("Rate limit exceeded", 429, headers)


class NoLimitHeaders(Authenticator):
    """Answers carry no X-RateLimit-*."""

    def limit_headers(self, caller: Caller, usage: Usage) -> Mapping[str, str]:
        return {}


class UsageFailureFails(Authenticator):
    """The usage report is waited for, and its failure is the request's."""

    async def admit(self, scope: Scope) -> Admitted | Response:
        found = await super().admit(scope)
        if isinstance(found, Admitted):
            try:
                await self.auth.report_usage(found.caller.key_id, 1, {})
            except (aiohttp.ClientError, TimeoutError, OSError):
                return refusal("Usage could not be reported", 500)
        return found


class StaleKeys(Authenticator):
    """Valid keys are also kept in the process, for good: a revoked one goes on being served, with
    redis and without."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._known: dict[str, tuple[Caller, Usage]] = {}

    async def identify(self, key: str) -> tuple[Caller, Usage]:
        if key not in self._known:
            self._known[key] = await super().identify(key)
        return self._known[key]


class KeyFormWrong(AuthClient):
    """The auth service is asked with the key in the body, and without a bearer token."""

    def question(self, key: str) -> Question:
        right = super().question(key)
        return Question({}, {**right.body, "api_key": key})


class ServiceIdWrong(AuthClient):
    """The auth service is asked for another service."""

    def question(self, key: str) -> Question:
        right = super().question(key)
        return Question(right.headers, {"service_id": "ml-platform"})


class CacheNotUsed(KeyCache):
    """Every request asks the auth service."""

    async def get(self, key: str) -> tuple[Caller, Usage] | None:
        return None


class CacheForGood(KeyCache):
    """Valid answers are kept in redis without a time-to-live."""

    def lifetime_s(self) -> int | None:
        return None


class RedisNeeded(KeyCache):
    """A key can't be looked up without redis: the request fails."""

    async def get(self, key: str) -> tuple[Caller, Usage] | None:
        if self.watched is not None and self.watched.last is not None and not self.watched.last.ok:
            raise RedisError("Error connecting to redis")
        failures = self.failures
        found = await super().get(key)
        if self.failures != failures:
            raise RedisError("Connection closed by server")
        return found


class FailsSometimes(Authenticator):
    """One of three authenticated requests fails with 500."""

    requests = 0

    async def admit(self, scope: Scope) -> Admitted | Response:
        type(self).requests += 1
        if self.requests % 3 == 0:
            raise RuntimeError(f"worker lost at {time.time():.0f}")
        return await super().admit(scope)
