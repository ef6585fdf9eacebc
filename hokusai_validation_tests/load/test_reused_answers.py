"""An answer that is taken for whole because it is like one before must be taken so by the parser too:
random sequences of answers, cut at random places, give the same events either way."""

from collections.abc import Callable
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from hokusai_validation.load.connection import Connection

HEADERS = st.lists(
    st.sampled_from(
        ["Date: today", "Date: tomorrow", "X-Instance: api-1", "X-Instance: api-2", "Server: it"]
    ),
    max_size=2,
)


def _fixed(headers: list[str], status: int, body: bytes, claim: int) -> bytes:
    lines = [f"HTTP/1.1 {status} Some", *headers, f"Content-Length: {max(0, len(body) + claim)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def _chunked(headers: list[str], bodies: list[bytes]) -> bytes:
    head = "\r\n".join(["HTTP/1.1 200 OK", *headers, "Transfer-Encoding: chunked"]).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body), body) for body in bodies if body)
    return head + b"\r\n\r\n" + chunks + b"0\r\n\r\n"


BODIES = st.sampled_from([b"", b"ok", b"no", b"\r\n\r\n", b'{"a": 1}', b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 40])
ANSWERS = st.one_of(
    st.builds(_fixed, HEADERS, st.sampled_from([200, 200, 200, 302, 503]), BODIES, st.just(0)),
    st.builds(_fixed, HEADERS, st.just(200), BODIES, st.sampled_from([0, 0, 0, -1, 1])),
    st.builds(_chunked, HEADERS, st.lists(BODIES, max_size=2)),
    st.builds(
        lambda answer: b"HTTP/1.1 100 Continue\r\n\r\n" + answer,
        st.builds(_fixed, HEADERS, st.just(200), BODIES, st.just(0)),
    ),
    st.sampled_from(
        [
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\n\r\nto the end",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\nContent-Length: 4\n\n\r\n\r\n",
            b"nonsense",
            b"",
        ]
    ),
)
CUTS = st.lists(st.integers(1, 200), max_size=2)


class _Transport:
    def get_extra_info(self, name: str) -> object:
        return object()  # "over TLS": then writing goes through the transport

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


class _Recorder:
    def __init__(self) -> None:
        self.logs: dict[int, list[float]] = {}

    def log(self, status: int) -> list[float]:
        return self.logs.setdefault(status, [])


class _Run:
    answer_limit_bytes = 1000
    inline = False

    def __init__(self, reuse_answers: bool) -> None:
        self.reuse_answers = reuse_answers
        self.events: list[str] = []
        self.outcome: Any = type("Outcome", (), {"replaced": 0})()

    def answered(self, connection: Connection, now: float) -> None:
        self.events.append("answered")

    def failed(self, connection: Connection, kind: str, now: float) -> None:
        self.events.append(kind)
        connection.abort()

    def lost(self, connection: Connection, *, while_idle: bool) -> None:
        self.events.append("lost")


def _events(answers: list[tuple[bytes, list[int]]], reuse_answers: bool) -> tuple[list[str], dict[int, int]]:
    run, recorder = _Run(reuse_answers), _Recorder()
    connection = Connection(cast(Any, run))
    connection.connection_made(cast(Any, _Transport()))
    for answer, cuts in answers:
        if not connection.open:
            break
        connection.send(0, cast(Any, recorder), b"GET", 0.0)
        rest = answer
        for cut in cuts:
            if connection.open and rest[:cut]:
                connection.data_received(rest[:cut])
            rest = rest[cut:]
        if connection.open and rest:
            connection.data_received(rest)
        if connection.busy:  # not whole: it is then cut off, as a target that goes away would
            connection.connection_lost(None)
    return run.events, {status: len(log) for status, log in recorder.logs.items() if log}


def _alike(draw: Callable[[Any], Any], answers: list[bytes]) -> list[tuple[bytes, list[int]]]:
    return [(answer, draw(CUTS) if draw(st.integers(0, 3)) == 0 else []) for answer in answers]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_reuse_changes_nothing(data: st.DataObject) -> None:
    few = data.draw(st.lists(ANSWERS, min_size=1, max_size=4))
    answers = _alike(data.draw, data.draw(st.lists(st.sampled_from(few), min_size=2, max_size=8)))
    assert _events(answers, True) == _events(answers, False)
