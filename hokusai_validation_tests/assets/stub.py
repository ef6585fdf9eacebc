"""A tiny gateway: answers as the contract says, enough for some tests to pass and others to fail."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path

from hokusai_validation_tests.http_handler import Handler

ANSWERS: dict[str, object] = {
    "/version": {"version": "1", "build_date": "2026-01-01", "git_commit": "a" * 40, "api_version": "v1"},
}


@dataclass
class Stub:
    """A server that is up. `paths` are the requests that came."""

    url: str
    paths: list[str] = field(default_factory=list)
    on_request: Callable[[str], None] = lambda path: None


@contextmanager
def serving() -> Iterator[Stub]:
    """A stub on a free port of loopback."""
    started = time.monotonic()

    class Answering(Handler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            stub.paths.append(path)
            stub.on_request(path)
            live = {"alive": True, "uptime": time.monotonic() - started, "memory_usage_mb": 10.0}
            answers = {**ANSWERS, "/live": live}
            body = json.dumps(answers.get(path, {"detail": "not here"})).encode()
            self.send_response(200 if path in answers else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    stub = Stub(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def target_file(folder: Path, url: str, more: str = "") -> Path:
    """A target that has nothing but a gateway."""
    path = folder / "stub.toml"
    path.write_text(f'name = "stub"\n{more}\n[endpoints]\nregistry = "{url}"\n', encoding="utf-8")
    return path
