"""A name server that never answers, against everything that asks the system's resolver."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from hokusai_validation.bounds import deadline, own_account
from hokusai_validation.errors import AwsUnavailable, NameNotResolved
from hokusai_validation.resources.aws.calls import AwsCalls
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.names import Resolver
from hokusai_validation_tests.hostile.test_aws_client import LOGIN

LIMIT_S = 0.2
NAME = "stack.example"


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The system's resolver, waiting."""
    over, asked = threading.Event(), socket.getaddrinfo

    def wait(
        host: str, port: int | None, family: int = 0, kind: int = 0, proto: int = 0, flags: int = 0
    ) -> object:
        if host.endswith(NAME):
            over.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "at last")
        return asked(host, port, family, kind, proto, flags)

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    monkeypatch.setattr(deadline, "LOOKUP_LIMIT_S", LIMIT_S)
    monkeypatch.setattr(own_account, "TRIES", 1)
    yield
    over.set()


def by_name() -> object:
    return Resolver(timeout_s=LIMIT_S).addresses(NAME)


def over_http() -> object:
    with HttpClient(f"http://{NAME}", resolver=Resolver(timeout_s=LIMIT_S)) as client:
        return client.get("/health")


def of_aws() -> object:
    calls = AwsCalls("us-east-1", endpoint_url=f"http://{NAME}", login=LOGIN, attempts=1)
    return calls.call("sts", "get_caller_identity")


@pytest.mark.parametrize(
    ("ask", "raised"),
    [(by_name, NameNotResolved), (over_http, NameNotResolved), (of_aws, AwsUnavailable)],
)
def test_a_silent_resolver_is_waited_for_within_a_limit(
    ask: Callable[[], object], raised: type[Exception]
) -> None:
    begun = time.monotonic()
    with pytest.raises(raised) as told:
        ask()
    # This is about waiting for ever, not about speed.
    assert time.monotonic() - begun < LIMIT_S + 20
    if isinstance(told.value, NameNotResolved):
        assert told.value.code == "EAI_AGAIN"
