"""Twelve services with names of their own, each a real server on this machine, and the target file that
declares checks of them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

# Each with what it depends on.
SHOP: Mapping[str, tuple[str, ...]] = {
    "storefront": ("catalog", "basket", "identity"),
    "catalog": ("search", "prices"),
    "basket": ("prices", "stock"),
    "checkout": ("basket", "payments", "ledger"),
    "payments": ("ledger",),
    "identity": ("sessions",),
    "search": (),
    "prices": (),
    "stock": ("ledger",),
    "ledger": (),
    "sessions": (),
    "mailer": (),
}


# Every `traceparent` that came, whichever service it came to.
seen_headers: list[str] = []


@dataclass(frozen=True)
class Service:
    """One of them, listening at `port`; `down` answer 503 where they depend on one that is closed."""

    name: str
    port: int


class _Handler(BaseHTTPRequestHandler):
    status = 200
    body: Mapping[str, object] = {}

    def do_GET(self) -> None:
        seen_headers.append(self.headers.get("traceparent", ""))
        data = json.dumps(self.body).encode()
        self.send_response(self.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@contextmanager
def shop(*, closed: str | None = None, wrong: str | None = None) -> Iterator[tuple[Service, ...]]:
    """The services; `closed` listens no more and all that stand on it answer 503, `wrong` answers
    something else than it should."""
    with ExitStack() as stack:
        found = []
        for name in SHOP:
            suffers = closed is not None and closed in _below(name)
            body = {"service": name, "state": "odd" if name == wrong else "up", "parts": [{"n": 3}]}
            handler = type("Handler", (_Handler,), {"status": 503 if suffers else 200, "body": body})
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
            found.append(Service(name, server.server_address[1]))
            if name == closed:
                server.server_close()
                continue
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield tuple(found)


def target_text(services: tuple[Service, ...], *, checks: bool = True) -> str:
    """The target file of the shop."""
    parts = ['name = "shop"\ncatalogue = false\n[permissions]\nwrite = false\nhosts = ["127.0.0.0/8"]\n']
    for name, below in SHOP.items():
        parts.append(f"[topology.{name}]\ndepends_on = {json.dumps(below)}\ncritical = {_lower(name)}\n")
    parts += [_check(each) for each in services if checks]
    return "\n".join(parts)


def _check(each: Service) -> str:
    return f"""[[checks]]
name = "{each.name}-up"
kind = "http"
component = "{each.name}"
critical = {_lower(each.name)}
url = "http://127.0.0.1:{each.port}/state?full=1"
timeout_s = 2
expect.fields = {{ service = "{each.name}", state = "up", "parts.0.n" = {{ min = 1, max = 5 }} }}
expect.headers = {{ content-type = {{ contains = "json" }} }}
"""


def _lower(name: str) -> str:
    return "false" if name == "mailer" else "true"


def _below(name: str) -> frozenset[str]:
    return frozenset(SHOP[name]).union(*(_below(each) for each in SHOP[name]))
