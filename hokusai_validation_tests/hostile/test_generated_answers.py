"""Answers that nobody thought of, against the clients that read them: each ends at the request's limit, in
bounded memory, and raises what the error tree knows or nothing."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hokusai_validation.errors import HokusaiError
from hokusai_validation.resources.aws.calls import AwsCalls
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.mlflow import Mlflow
from hokusai_validation_tests.hostile.test_aws_client import LOGIN
from hokusai_validation_tests.hostile.test_client import memory_mb

LIMIT_S = 0.5
# Beyond the limit: for the machine, and the waits between attempts of botocore.
SLACK_S = 10.0
# What the answers may take of the 600 MB that a process of ours may have; about 300 are the libraries.
MEMORY_MB = 300.0
FEW, MANY = 60, 2_500  # for each of four clients


@dataclass
class Server:
    """Sends the bytes that it is given, whatever is asked, then closes or waits."""

    url: str = ""
    parts: tuple[bytes, ...] = ()
    repeated: int = 1
    closes: bool = True
    _open: set[socket.socket] = field(default_factory=set)

    def serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(65536)
            for _ in range(self.repeated):
                for part in self.parts:
                    connection.sendall(part)
            if not self.closes:
                connection.settimeout(60)
                while connection.recv(65536):
                    pass


@contextmanager
def serving() -> Iterator[Server]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=server.serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**70), 2**70) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(
                [
                    "experiments",
                    "name",
                    "next_page_token",
                    "taskArns",
                    "nextToken",
                    "Account",
                    "Arn",
                    "status",
                ]
            )
            | st.text(max_size=8),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """JSON, XML, something like them, or anything."""
    kind = draw(st.sampled_from(["json", "broken json", "xml", "bytes", "deep"]))
    if kind == "bytes":
        return draw(st.binary(max_size=500))
    if kind == "deep":
        times = draw(st.integers(1, 100_000))
        return draw(st.sampled_from([b"[", b'{"a":', b"<a>"])) * times
    if kind == "xml":
        return draw(st.sampled_from([b"<r><a>", b"<r/>", b"<?xml version='1.0'?><r>"])) + draw(
            st.binary(max_size=50)
        )
    import json

    text = json.dumps(draw(JSON)).encode("utf-8", "surrogatepass")
    return text if kind == "json" else text[: draw(st.integers(0, len(text)))] + draw(st.binary(max_size=5))


@st.composite
def answers(draw: st.DrawFn) -> tuple[tuple[bytes, ...], int, bool]:
    """What is sent: nearly HTTP or not at all; how often its body; whether the connection ends then."""
    if draw(st.integers(0, 9)) == 0:
        return (draw(st.binary(max_size=300)),), draw(st.sampled_from([1, 1000])), draw(st.booleans())
    status = draw(
        st.sampled_from(
            ["200 OK", "204 No", "302 F", "400 B", "403 F", "500 E", "503 S", "100 C", "999 X", ""]
        )
    )
    body = draw(bodies())
    known = st.sampled_from(
        [
            b"content-type: application/json",
            b"content-type: text/xml; charset=utf-16",
            b"content-encoding: gzip",
            b"content-encoding: deflate, br",
            b"transfer-encoding: chunked",
            b"content-length: -1",
            b"content-length: 99999999999",
            b"content-length: 1, 2",
            b"location: http://127.0.0.1:9/",
            b"retry-after: 99999",
            b"x-amzn-errortype: Throttling",
            b"date: never",
        ]
    )
    headers = draw(st.lists(known | st.binary(max_size=40), max_size=6))
    if draw(st.booleans()):
        headers.append(b"content-length: %d" % len(body))
    head = b"HTTP/1.1 " + status.encode() + b"\r\n" + b"".join(each + b"\r\n" for each in headers) + b"\r\n"
    repeated = draw(st.sampled_from([1, 1, 1, 50]))
    # Nobody waits for the one without an end more often than it takes to see that it ends.
    closes = draw(st.integers(0, 39)) > 0
    return (head, body), repeated, closes


def plain(url: str) -> None:
    with HttpClient(url, timeout_s=LIMIT_S) as client:
        answer = client.get("/health")
        assert isinstance(answer.text, str)
        answer.evidence(1000)
        answer.json()
        answer.object()


def registry(url: str) -> None:
    with HttpClient(url, timeout_s=LIMIT_S) as client:
        found = Mlflow(client).search_experiments()
        for _ in range(1000):
            if next(found, None) is None:
                return


def aws_json(url: str) -> None:
    _aws(url, lambda calls: next(iter(calls.pages("ecs", "list_tasks", "taskArns", cluster="c")), None))


def aws_xml(url: str) -> None:
    _aws(url, lambda calls: calls.call("sts", "get_caller_identity"))


def _aws(url: str, ask: Callable[[AwsCalls], object]) -> None:
    calls = _calls.setdefault(url, AwsCalls("us-east-1", endpoint_url=url, login=LOGIN, attempts=1))
    ask(calls)


_calls: dict[str, AwsCalls] = {}


def check(read: Callable[[str], None], number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many answers to one client."""
    from hokusai_validation.resources.aws import calls, session

    monkeypatch.setattr(session, "ATTEMPT_LIMIT_S", LIMIT_S)
    monkeypatch.setattr(calls, "CALL_LIMIT_S", LIMIT_S)
    seen = 0
    longest_s = 0.0
    before_mb = memory_mb("VmRSS")  # of this process, whatever else it has tested
    with serving() as server:

        @settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(answers())
        def one(given_answer: tuple[tuple[bytes, ...], int, bool]) -> None:
            nonlocal seen, longest_s
            server.parts, server.repeated, server.closes = given_answer
            begun = time.monotonic()
            with suppress(HokusaiError):
                read(server.url)
            took_s = time.monotonic() - begun
            seen, longest_s = seen + 1, max(longest_s, took_s)
            # This is about waiting for ever, not about speed.
            assert took_s < LIMIT_S + SLACK_S

        one()
    for each in _calls.values():
        each.close()
    _calls.clear()
    print(
        f"{read.__name__}: {seen} answers, the longest {longest_s:.1f} s, {memory_mb('VmHWM'):.0f} MB at most"
    )
    assert seen >= number
    assert memory_mb("VmHWM") - before_mb < MEMORY_MB


CLIENTS = (plain, registry, aws_json, aws_xml)


@pytest.fixture(autouse=True)
def fresh_maximum() -> None:
    """Else what an earlier test took would be held against these."""
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.parametrize("read", CLIENTS)
def test_a_sample_of_generated_answers(read: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    check(read, FEW, monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("read", CLIENTS)
def test_ten_thousand_generated_answers(read: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    check(read, MANY, monkeypatch)
