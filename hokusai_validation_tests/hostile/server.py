"""A server that answers every request wrongly, in one of the ways of the table, on loopback."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

MARKUP = "<img src=x onerror=alert(1)></script><script>alert(2)</script> =cmd|'/c calc'!A1 [x](javascript:alert(3)) \x1b]0;owned\x07\x1b[31m \u202e"
FIELDS = (
    *("status", "services", "ready", "alive", "uptime", "memory_usage_mb", "version", "build_date"),
    *("git_commit", "api_version", "checks", "connectivity", "experiments_api", "artifacts_api", "error"),
    *("detail", "message", "timestamp", "circuit_breaker", "system_info", "cpu", "memory", "disk"),
    *("valid", "key_id", "user_id", "scopes", "rate_limit_per_hour", "environment", "mlflow", "redis"),
    *("experiments", "experiment_id", "experiment", "run", "runs", "info", "data", "model_version"),
    *("registered_models", "next_page_token", "error_code", "files", "metrics", "params", "tags"),
)
ODD: tuple[object, ...] = (
    [],
    {},
    "text",
    -1,
    None,
    True,
    [1, {"a": None}],
    {"status": []},
    "huge number",
    {"name": 3},
)
HUGE_BYTES = 1_000_000_000
DRIP_S = 0.05
Send = Callable[[bytes], None]


def _whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def huge(send: Send) -> None:
    """1 GB of body, as fast as it is read."""
    send(f"HTTP/1.1 200 OK\r\ncontent-length: {HUGE_BYTES}\r\n\r\n".encode())
    block = b"x" * 1_000_000
    for _ in range(HUGE_BYTES // len(block)):
        send(block)


def endless_header(send: Send) -> None:
    """Headers that never end."""
    send(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000_000):
        send(f"x-{number}: {'y' * 1000}\r\n".encode())


def slow_header(send: Send) -> None:
    """One byte of a header now and then."""
    send(b"HTTP/1.1 200 OK\r\nx: ")
    for _ in range(100_000):
        send(b"y")
        time.sleep(DRIP_S)


def slow_body(send: Send) -> None:
    """One byte of the body now and then."""
    send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    for _ in range(100_000):
        send(b"y")
        time.sleep(DRIP_S)


def redirect_loop(send: Send) -> None:
    """A redirect to itself."""
    send(_whole(b"", "location: /health", status="302 Found"))


def invalid_utf8(send: Send) -> None:
    """Bytes that are no text."""
    send(_whole(b'{"status": "\xff\xfe\xc3"}', "content-type: application/json"))


def deep_json(send: Send) -> None:
    """JSON nested deeper than any parser's stack."""
    send(_whole(b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "content-type: application/json"))


def bomb(send: Send) -> None:
    """1 GB of zeros, compressed to one megabyte."""
    send(_whole(_BOMB, "content-encoding: gzip"))


def markup(send: Send) -> None:
    """Text that would do something in a page, a sheet, a document or a terminal."""
    body = {
        "status": MARKUP,
        "version": MARKUP,
        "services": {MARKUP: MARKUP},
        "error": MARKUP,
        "detail": MARKUP,
    }
    send(_whole(json.dumps(body, ensure_ascii=False).encode(), "content-type: application/json"))


def no_object(send: Send) -> None:
    """JSON, but of another shape than any answer has."""
    send(_whole(b"[]", "content-type: application/json"))


def odd_types(send: Send) -> None:
    """Every field that a contract knows, each of a type that nobody expects."""
    body = {name: ODD[index % len(ODD)] for index, name in enumerate(FIELDS)}
    text = json.dumps(body).replace('"huge number"', "1e999")
    send(_whole(text.encode(), "content-type: application/json"))


def odd_headers(send: Send) -> None:
    """A fair body under headers whose values mean nothing."""
    names = ("date", "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    headers = [f"{name}: never \udcff\udcfe" for name in names] * 50
    send(_whole(b'{"status": "healthy"}', "content-type: ;;=\udcff", *headers))


def not_http(send: Send) -> None:
    """Something else altogether."""
    send(b"\x00\x01\x02 220 mail.example ESMTP\r\n" * 100)


ENDING = ("huge", "endless_header", "slow_header", "slow_body", "not_http")  # close behind an answer
_BOMB = gzip.compress(bytes(HUGE_BYTES // 10), 9) * 10
WAYS: Mapping[str, Callable[[Send], None]] = {
    way.__name__: way
    for way in (
        huge,
        endless_header,
        slow_header,
        slow_body,
        redirect_loop,
        invalid_utf8,
        deep_json,
        bomb,
        markup,
        no_object,
        odd_types,
        odd_headers,
        not_http,
    )
}


@contextmanager
def hostile(way: str) -> Iterator[str]:
    """The server, up for a while; yields its base URL. Every thread ends with it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    over = threading.Event()
    open_now: set[socket.socket] = set()

    def serve(connection: socket.socket) -> None:
        def send(data: bytes) -> None:
            if over.is_set():
                raise OSError("the server is over")
            connection.sendall(data)

        try:
            with connection:
                while connection.recv(65536):
                    WAYS[way](send)
                    if way in ENDING:
                        return
        except OSError:
            pass
        finally:
            open_now.discard(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_now.add(connection)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in list(open_now):
            connection.close()
