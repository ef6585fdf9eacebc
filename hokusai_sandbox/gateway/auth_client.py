"""The auth service, as the gateway asks it."""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from hokusai_sandbox.gateway.caller import Caller
from hokusai_sandbox.gateway.checks import explained, timed_out
from hokusai_sandbox.gateway.settings import Settings


class AuthRefused(Exception):
    """The key is unknown, expired or revoked."""


class AuthLimited(Exception):
    """The key is past its limit, as the auth service counts."""

    def __init__(self, retry_after: str) -> None:
        super().__init__("limited")
        self.retry_after = retry_after


class AuthUnavailable(Exception):
    """The auth service could not be asked, or answered what it should not."""


@dataclass(frozen=True)
class Question:
    """What is sent to the auth service to validate a key."""

    headers: Mapping[str, str]
    body: Mapping[str, str]


class AuthClient:
    """Kept connections to the auth service; every call is bounded."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._base_url = settings.auth_service_url.rstrip("/")
        self._session: aiohttp.ClientSession

    async def open(self) -> None:
        """Make the session; connects nowhere yet."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=100, keepalive_timeout=15, ttl_dns_cache=1),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._settings.auth_timeout_s),
        )

    async def close(self) -> None:
        """Drop the connections."""
        await self._session.close()

    def question(self, key: str) -> Question:
        """The form that the auth service expects: the key as bearer token, the service in the body."""
        return Question({"authorization": f"Bearer {key}"}, {"service_id": self._settings.auth_service_id})

    async def validate(self, key: str) -> Caller:
        """Whose key it is.

        Raises AuthRefused, AuthLimited, AuthUnavailable."""
        question = self.question(key)
        try:
            async with self._session.post(
                f"{self._base_url}/api/v1/keys/validate",
                json=question.body,
                headers=question.headers,
                allow_redirects=False,
            ) as response:
                body = await response.read()
        except TimeoutError:
            raise AuthUnavailable(timed_out("the auth service", self._settings.auth_timeout_s)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise AuthUnavailable(explained(error)) from None
        if response.status == 429:
            raise AuthLimited(response.headers.get("retry-after", "60"))
        if response.status in (400, 401, 403, 404, 422):
            raise AuthRefused
        if response.status != 200:
            raise AuthUnavailable(f"the auth service answered {response.status}")
        try:
            return Caller.model_validate_json(body)
        except ValueError:
            raise AuthUnavailable("the auth service's answer was not understood") from None

    async def report_usage(self, key_id: str, count: int, endpoints: Mapping[str, int]) -> None:
        """Say how often a key was used.

        Raises TimeoutError, aiohttp.ClientError, OSError."""
        async with self._session.post(
            f"{self._base_url}/api/v1/usage/{key_id}",
            json={
                "service_id": self._settings.auth_service_id,
                "count": count,
                "endpoints": dict(endpoints),
            },
            allow_redirects=False,
        ) as response:
            await response.read()
            response.raise_for_status()
