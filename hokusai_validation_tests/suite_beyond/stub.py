"""A small HTTP server that answers what it is told to, and a target whose every endpoint it is."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr

from hokusai_validation.resources.http import HttpClient
from hokusai_validation.target import Target
from hokusai_validation_tests.http_handler import Handler

GOOD_KEY = "hk_test_0123456789abcdef"
GOOD_HEALTH = {
    "status": "healthy",
    "services": dict.fromkeys(("mlflow", "redis", "message_queue", "postgres"), "healthy"),
}
GOOD_CHECKS = {
    name: {"status": "healthy", "message": "fine"}
    for name in ("connectivity", "experiments_api", "artifacts_api")
}


@dataclass
class Reply:
    """What a path is answered with. A body that is not bytes goes as JSON."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


Answering = Reply | Callable[[str, Mapping[str, str]], Reply]


def good_replies() -> dict[str, Answering]:
    """A healthy service: what the checks of these tests ask of it."""

    def root(_: str, headers: Mapping[str, str]) -> Reply:
        sent = headers.get("authorization", "")
        return Reply(404, {"detail": "Not Found"}) if sent == f"Bearer {GOOD_KEY}" else Reply(401)

    return {
        "/": root,
        "/health": Reply(200, GOOD_HEALTH),
        "/ready": Reply(200, {"ready": True}),
        "/live": Reply(200, {"alive": True}),
        "/version": Reply(200, {"version": "1", "git_commit": "a" * 40}),
        "/api/health/mlflow/detailed": Reply(200, {"checks": GOOD_CHECKS}),
        "/api/mlflow/health": Reply(200, b"OK"),
        "/api/mlflow/version": Reply(200, b"3.17.2"),
        "/api/mlflow/api/2.0/mlflow/experiments/search": Reply(200, {"experiments": []}),
        "/mlflow/api/2.0/mlflow/experiments/search": Reply(200, {"experiments": []}),
        "/api/mlflow/api/2.0/mlflow/no-such-thing": Reply(404, {"error_code": "RESOURCE_NOT_FOUND"}),
    }


class Stub:
    """The server; `replies` may be changed while it runs."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.replies = good_replies()

    def client(self, *, key: bool = True) -> HttpClient:
        """A client of it."""
        return HttpClient(self.url, key=SecretStr(GOOD_KEY) if key else None, timeout_s=3)

    def target(self, **changes: object) -> Target:
        """A target that is this server at every endpoint."""
        values: dict[str, object] = {
            "name": "stub",
            "endpoints": {"registry": self.url, "api": self.url, "auth": self.url},
            "auth": {"url": self.url},
            "keys": {"good": {"env": "STUB_GOOD_KEY"}},
            "mlflow": {"url": self.url},
            "gateway": {"health_timeout_s": 2.0, "proxy_timeout_s": 1.0},
        }
        return Target.model_validate(values | changes)


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Stub]:
    """A stub on a free port, in the block."""
    made: list[Stub] = []

    class Answering(Handler):
        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            if length:
                self.rfile.read(length)
            bare = self.path.partition("?")[0]
            reply = made[0].replies.get(bare, Reply(404, {"detail": "Not Found"}))
            if callable(reply):
                reply = reply(self.path, {name.lower(): value for name, value in self.headers.items()})
            raw = isinstance(reply.body, bytes)
            body = reply.body if raw else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            self.send_header("content-type", "text/html" if raw else "application/json")
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if context is None else "https"
    made.append(Stub(f"{scheme}://127.0.0.1:{server.server_address[1]}"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
