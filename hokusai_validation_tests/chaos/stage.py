"""A small stage for experiments: an API of our own behind links, and a target that permits faults."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import (
    Endpoints,
    FaultKind,
    Gateway,
    Instance,
    Limits,
    Links,
    Permissions,
    Target,
)
from hokusai_validation_tests.links.program import LinkProgram, Upstream, http

# Without jitter these kinds need an agent or AWS.
LINK_KINDS = (
    FaultKind.REFUSE,
    FaultKind.RESET,
    FaultKind.LATENCY,
    FaultKind.BANDWIDTH,
    FaultKind.BLACK_HOLE,
    FaultKind.HALF_OPEN,
    FaultKind.CONNECT_TIMEOUT,
    FaultKind.EVERY_NTH,
    FaultKind.GARBAGE,
)


def redis(connection: socket.socket) -> None:
    """Answer every line as a redis that wants a password."""
    while data := connection.recv(65536):
        connection.sendall(b"-NOAUTH Authentication required.\r\n" * data.count(b"\n"))


def postgres(connection: socket.socket) -> None:
    """Say that there is no TLS."""
    while connection.recv(65536):
        connection.sendall(b"N")


class Api:
    """An API instance that can be told to misbehave: `status` of `/health`, `blocked` (nothing is
    answered), `refuses_keys`."""

    def __init__(self) -> None:
        self.status = "healthy"
        self.breaker = "healthy"
        self.blocked = threading.Event()
        self.refuses_keys = False
        self.server = Upstream(self._serve)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.server.address}"

    def _serve(self, connection: socket.socket) -> None:
        kept = b""
        while data := connection.recv(65536):
            kept += data
            while b"\r\n\r\n" in kept:
                head, _, kept = kept.partition(b"\r\n\r\n")
                while self.blocked.is_set():
                    time.sleep(0.01)
                connection.sendall(self._answer(head))

    def _answer(self, head: bytes) -> bytes:
        path = head.split(b" ")[1].decode()
        status, body = 200, {"status": "ok"}
        if path == "/live":
            body = {"alive": True, "uptime": 1.0, "memory_usage_mb": 1.0}  # type: ignore[dict-item]
        elif path == "/health":
            body = {"status": self.status, "services": {"mlflow": self.breaker}}  # type: ignore[dict-item]
        elif path == "/" and (self.refuses_keys or b"authorization: bearer" not in head.lower()):
            status, body = 401, {"detail": "API key required"}
        text = json.dumps(body).encode()
        return f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text


class Stage:
    """Links to three servers, two API instances, and their target. `api-1` is also the balancer."""

    def __init__(self, program: LinkProgram) -> None:
        self.program = program
        self.servers = {"mlflow": Upstream(http), "redis": Upstream(redis), "postgres": Upstream(postgres)}
        self.apis = {"api-1": Api(), "api-2": Api()}
        edges = {}
        for instance in self.apis:
            for name, server in self.servers.items():
                proxy = f"{instance}.{name}"
                made = program.call("POST", "/proxies", {"name": proxy, "upstream": server.address})
                assert made.status == 201, made.text
                edges[f"{instance}->{name}"] = proxy
        self.target = Target(
            name="stage",
            endpoints=Endpoints(registry=self.apis["api-1"].url),
            gateway=Gateway(health_timeout_s=1.0),
            instances=tuple(Instance(name=name, url=api.url) for name, api in self.apis.items()),
            links=Links(url=program.url, edges=edges),
            permissions=Permissions(faults=LINK_KINDS, min_availability=0.5),
            limits=Limits(recovery_s=2.0),
        )
        self.secrets = Secrets(self.target)

    def close(self) -> None:
        """Take it down."""
        self.program.call("POST", "/reset")
        for name in self.program.call("GET", "/proxies").json():
            self.program.call("DELETE", f"/proxies/{name}")
        for server in (*self.servers.values(), *(api.server for api in self.apis.values())):
            server.stop()
        for api in self.apis.values():
            api.blocked.clear()

    def dirty(self) -> list[str]:
        """Links that a fault is on."""
        shown = self.program.call("GET", "/proxies").json()
        return [name for name, link in shown.items() if link["toxics"] or not link["enabled"]]

    def write_target(self, folder: Path) -> Path:
        """The target as a file, for another process."""
        file = folder / "stage.toml"
        lines = ['name = "stage"']
        for each in self.target.instances:
            lines += ["[[instances]]", f'name = "{each.name}"', f'url = "{each.url}"']
        lines += ["[endpoints]", f'registry = "{self.target.url}"']
        lines += ["[permissions]", f"faults = {json.dumps([kind.value for kind in LINK_KINDS])}"]
        lines += ["[links]", f'url = "{self.program.url}"', "[links.edges]"]
        assert self.target.links is not None
        lines += [f'"{edge}" = "{proxy}"' for edge, proxy in self.target.links.edges.items()]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return file


@contextlib.contextmanager
def stage(program: LinkProgram) -> Iterator[Stage]:
    """A stage until the block ends."""
    made = Stage(program)
    try:
        yield made
    finally:
        made.close()
