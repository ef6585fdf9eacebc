"""MLflow as far as the gateway can tell: what it was sent is kept, what it answers can be set."""

import hashlib
import threading
import time
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer

from hokusai_validation_tests.http_handler import Handler

PIECE = 64 * 1024


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, list[str]]
    size: int
    sha256: str


@dataclass
class StubMlflow:
    """`/html404` answers HTML, `/status/N` that status, `/slow` after `slow_s`, `/bytes/N` that many
    bytes, `/broken` half a body; everything else 200 with JSON."""

    slow_s: float = 1.0
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        stub = self

        class Answering(Handler):
            def _any(self) -> None:
                size, digest = self._body()
                headers: dict[str, list[str]] = {}
                for name, value in self.headers.items():
                    headers.setdefault(name.lower(), []).append(value)
                if self.path != "/health":
                    stub.seen.append(Seen(self.command, self.path, headers, size, digest))
                self._answer(self.path.partition("?")[0])

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _any

            def _body(self) -> tuple[int, str]:
                digest, size = hashlib.sha256(), 0
                if self.headers.get("transfer-encoding") == "chunked":
                    while length := int(self.rfile.readline(), 16):
                        digest.update(self.rfile.read(length))
                        self.rfile.readline()
                        size += length
                    self.rfile.readline()
                else:
                    left = int(self.headers.get("content-length") or 0)
                    while left:
                        piece = self.rfile.read(min(left, PIECE))
                        digest.update(piece)
                        size += len(piece)
                        left -= len(piece)
                return size, digest.hexdigest()

            def _answer(self, path: str) -> None:
                last = path.rpartition("/")[2]
                if path.endswith("/html404"):
                    self._send(404, b"<html>not found</html>", "text/html; charset=utf-8")
                elif "/status/" in path:
                    self._send(int(last), b'{"error_code": "STUB"}', "application/json")
                elif path.endswith("/slow"):
                    time.sleep(stub.slow_s)
                    self._send(200, b"{}", "application/json")
                elif "/bytes/" in path:
                    self._send(200, body(int(last)), "application/octet-stream")
                elif path.endswith("/broken"):
                    self.send_response(200)
                    self.send_header("content-length", "1000")
                    self.end_headers()
                    self.wfile.write(b"x" * 500)
                    self.close_connection = True
                else:
                    self._send(200, b'{"stub": true}', "application/json")

            def _send(self, status: int, content: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                self.send_header("set-cookie", "a=1")
                self.send_header("set-cookie", "b=2")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass  # a link that a test broke

        self._server = Server(("127.0.0.1", 0), Answering)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def body(size: int) -> bytes:
    """Bytes that are not all the same."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]
