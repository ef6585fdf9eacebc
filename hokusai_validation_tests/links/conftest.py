"""One link program for all tests of this folder; each test gets it clean, with an echo behind it."""

from collections.abc import Iterator

import pytest

from hokusai_validation_tests.links.program import LinkProgram, Upstream


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LinkProgram]:
    """The program."""
    with LinkProgram(tmp_path_factory.mktemp("links"), []) as program:
        yield program


@pytest.fixture
def server() -> Iterator[Upstream]:
    """An echo."""
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture
def program(running: LinkProgram, server: Upstream) -> Iterator[LinkProgram]:
    """The program with one link, `link`, to the echo."""
    body = {"name": "link", "listen": "127.0.0.1:0", "upstream": server.address}
    assert running.call("POST", "/proxies", body).status == 201
    yield running
    running.call("POST", "/reset")
    for name in running.call("GET", "/proxies").json():
        running.call("DELETE", f"/proxies/{name}")
