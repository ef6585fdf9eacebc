"""A reverse proxy in front of a stand-in for AWS that writes down what IAM would have been asked. It
sees every process of a run: a client only has to be told its address for AWS's."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import ThreadingHTTPServer
from urllib.parse import urlsplit

from hokusai_validation_tests.deploy.operations import Asked, Call, calls_of
from hokusai_validation_tests.http_handler import Handler

TIMEOUT_S = 60.0
_OF_A_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
# An answer in AWS's place: status, headers, body; None lets the request through.
Instead = Callable[[Asked], tuple[int, dict[str, str], bytes] | None]


class Recorder:
    """What was asked through `url`. Nothing is let through of which that can't be said; `problems`
    has it then."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.problems: list[str] = []
        self.instead: Instead = lambda asked: None
        self._calls: set[Call] = set()
        self._lock = threading.Lock()

    def calls(self, who: str | None = None) -> frozenset[Call]:
        """Everything asked so far, or what was asked with one access key."""
        with self._lock:
            assert self.problems == []
            return frozenset(each for each in self._calls if who in (None, each.who))

    def note(self, asked: Asked) -> bool:
        """Write a request down; whether it was understood."""
        try:
            calls = calls_of(asked)
        except Exception as error:  # whatever it is, the test that reads the calls must fail
            with self._lock:
                self.problems.append(f"{asked.method} {asked.path}: {type(error).__name__}: {error}")
            return False
        with self._lock:
            self._calls.update(calls)
        return True


@contextmanager
def recording(upstream: str) -> Iterator[Recorder]:
    """A recorder in front of `upstream`, in the block."""
    host, port = urlsplit(upstream).hostname or "", urlsplit(upstream).port

    class Answering(Handler):
        recorder: Recorder

        def handle_one_request(self) -> None:
            with suppress(ConnectionError):
                super().handle_one_request()

        def pass_on(self) -> None:
            body = self._body()
            path, _, query = self.path.partition("?")
            asked = Asked(
                self.command,
                path,
                query,
                {name.lower(): value for name, value in self.headers.items()},
                body,
            )
            if not self.recorder.note(asked):
                self._answer(501, {}, b"not understood by the recorder")
                return
            self._answer(*(self.recorder.instead(asked) or self._upstream(body)))

        def _body(self) -> bytes:
            if self.headers.get("Expect", "").lower() == "100-continue":
                self.send_response_only(100)
                self.end_headers()
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(parts)

        def _upstream(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_A_HOP}
            headers.pop("Expect", None)
            if body or self.command in ("PUT", "POST"):
                headers["Content-Length"] = str(len(body))
            onward = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
            try:
                onward.request(self.command, self.path, body=body or None, headers=headers)
                answer = onward.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            finally:
                onward.close()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            size = str(len(body))
            for name, value in headers.items():
                if name.lower() == "content-length" and self.command == "HEAD":
                    size = value  # a HEAD's is that of the object
                elif name.lower() not in _OF_A_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", size)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = pass_on

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    recorder = Recorder(f"http://127.0.0.1:{server.server_port}")
    Answering.recorder = recorder
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
