"""Calls to a program that holds faults for us: bounded, tried again, its refusals as one error."""

import time
from collections.abc import Collection
from typing import TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from hokusai_validation.errors import AgentFailed, RequestFailed
from hokusai_validation.redaction import shown
from hokusai_validation.resources.http import Answer, HttpClient

Form = TypeVar("Form")

TIMEOUT_S = 3.0
ATTEMPTS = 3
PAUSE_S = 0.1


class Agent:
    """The HTTP API of a program named `what`, for messages."""

    def __init__(self, what: str, client: HttpClient) -> None:
        self._what = what
        self._client = client

    @property
    def url(self) -> str:
        """Where the program is."""
        return self._client.base_url

    def call(self, method: str, path: str, body: object = None, *, accept: Collection[int] = ()) -> Answer:
        """One call; every call of these APIs may be repeated. Statuses beyond 2xx are errors unless
        `accept` names them.

        Raises AgentFailed."""
        problem: RequestFailed | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_S)
            try:
                answer = self._client.request(method, path, json=body, key=True, timeout_s=TIMEOUT_S)
            except RequestFailed as error:
                problem = error
                continue
            if 200 <= answer.status < 300 or answer.status in accept:
                return answer
            raise AgentFailed(
                f"{self._what} at {self.url} refused {method} {path}: {answer.status} {shown(answer.text, 200)!r}."
            )
        raise AgentFailed(f"{self._what} at {self.url} does not answer: {problem} Is it running?")

    def read(self, path: str, form: TypeAdapter[Form]) -> Form:
        """What stands at a path, in a form.

        Raises AgentFailed."""
        answer = self.call("GET", path)
        try:
            return form.validate_json(answer.body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the answer"
            raise AgentFailed(
                f"{self._what} at {self.url} answered GET {path} in an unknown form: `{where}`: {first['msg']}."
            ) from None

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()


def part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")
