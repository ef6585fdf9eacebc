"""The forms that keys are sent in reach the wire as they are written, and a leaked key is found."""

import socket
import threading
from collections.abc import Iterator

import pytest

from hokusai_validation.probes.api_keys import contains_key
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.unknown_key import unknown_key
from hokusai_validation.suite.test_authentication import ACCEPTED_FORMS, BAD_KEYS, REFUSED_FORMS

KEY = "hk_live_abcdefgh1234"


class Wire:
    """A server that keeps the bytes of requests and answers 200."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.seen = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.seen = connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


@pytest.mark.parametrize("form", [*ACCEPTED_FORMS, *REFUSED_FORMS])
def test_form_reaches_the_wire_as_written(form: str, wire: Wire) -> None:
    headers = {**ACCEPTED_FORMS, **REFUSED_FORMS}[form](KEY)
    with HttpClient(wire.url) as client:
        assert client.get("/x", headers=headers).status == 200
    ((name, value),) = headers.items()
    assert f"\r\n{name}: {value}\r\n".encode() in wire.seen


@pytest.mark.parametrize("kind", BAD_KEYS)
def test_bad_key_reaches_the_wire(kind: str, wire: Wire) -> None:
    headers = BAD_KEYS[kind]()
    with HttpClient(wire.url) as client:
        client.get("/x", headers=headers)
    assert next(iter(headers)).encode() in wire.seen


def test_client_sends_no_key_unasked(wire: Wire) -> None:
    with HttpClient(wire.url) as client:
        client.get("/x")
    assert b"hk_" not in wire.seen
    assert b"authorization" not in wire.seen.lower()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"refused {KEY}", True),
        ("key abcdefgh1234 refused", True),
        ("refused hk_live_", False),
        ("", False),
        pytest.param(unknown_key(), False, id="another key"),  # it is random, and would be in the name
    ],
)
def test_leaked_key_is_found(text: str, found: bool) -> None:
    assert contains_key(text, KEY) is found


def test_unknown_keys_differ() -> None:
    assert unknown_key() != unknown_key()
