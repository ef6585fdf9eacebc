"""A probe that asks for a key is one defect; what it answers to those who have one is judged all the same."""

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from hokusai_validation.resources.http import HttpClient
from hokusai_validation_tests.http_handler import Handler

KEY = "the-key-of-these-tests"


class _Guarded(Handler):
    def do_GET(self) -> None:
        known = self.headers.get("authorization") == f"Bearer {KEY}"
        status = (500 if "detailed" in self.path else 200) if known else 401
        self.send_response(status)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Guarded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _client(url: str, key: str | None) -> HttpClient:
    return HttpClient(url, key=None if key is None else SecretStr(key), open_paths=("/health",))


def test_a_path_that_should_be_open_is_asked_again_with_the_key(url: str) -> None:
    with _client(url, KEY) as client:
        assert client.get("/health").status == 200
        assert client.get("/health?detailed=true").status == 500
        assert client.get("/health", as_anybody=True).status == 401
        assert client.get("/health", headers={"authorization": "Bearer another"}).status == 401
        assert client.get("/private").status == 401


@pytest.mark.parametrize("key", [None, "of-nobody-at-all"])
def test_without_a_good_key_the_refusal_stands(url: str, key: str | None) -> None:
    with _client(url, key) as client:
        assert client.get("/health").status == 401
