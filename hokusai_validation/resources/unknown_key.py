"""A key that nobody knows: it can't be in the cache, so that its refusal comes from the auth service."""

import secrets

from hokusai_validation.resources import recording
from hokusai_validation.resources.http import Answer, HttpClient
from hokusai_validation.topology import Role

REFUSED = 401


def unknown_key() -> str:
    """A key of the right form that nobody made."""
    return f"hk_live_{secrets.token_urlsafe(24)}"


def ask(client: HttpClient, *, timeout_s: float | None = None) -> Answer:
    """The API's answer to such a key; one that it had to ask the auth service for is recorded as that one's.

    Raises the leaves of RequestFailed."""
    answer = client.get("/", headers={"authorization": f"Bearer {unknown_key()}"}, timeout_s=timeout_s)
    if answer.status == REFUSED:
        recording.met(answer.observation)
        recording.settled_by(answer.observation, Role.API_GATEWAY, Role.AUTH)
    return answer
