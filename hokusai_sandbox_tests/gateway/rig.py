"""A gateway in a thread of this process, with real redis, PostgreSQL and auth service behind links
that can be cut, and a stub of MLflow."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psycopg2
import redis
import uvloop
from starlette.types import ASGIApp

from hokusai_sandbox import folders, postgres
from hokusai_sandbox.auth_service.app import build_app as build_auth
from hokusai_sandbox.auth_service.settings import Settings as AuthSettings
from hokusai_sandbox.auth_service.store import Store
from hokusai_sandbox.gateway.app import build_app
from hokusai_sandbox.gateway.defects import wire
from hokusai_sandbox.gateway.settings import Settings
from hokusai_sandbox.gateway.state import Gateway
from hokusai_sandbox.serving import listen, make_server
from hokusai_sandbox_tests.gateway.stub_mlflow import StubMlflow
from hokusai_sandbox_tests.gateway.switch import LoopThread, Switch

PASSWORD = "sandbox-rig"
LINKS = ("mlflow", "postgres", "redis", "queue", "auth")
START_LIMIT_S = 20.0
ENDING = 4  # gateways that may still be: by then the first has ended

SETTINGS: dict[str, Any] = {
    "health_timeout_s": 1.0,
    "check_timeout_s": 0.4,
    "check_interval_s": 0.05,
    "proxy_timeout_s": 0.4,
    "artifact_timeout_s": 1.0,
    "auth_timeout_s": 2.0,
    "cache_timeout_s": 0.2,
    "mlflow_cb_failure_threshold": 3,
    "mlflow_cb_recovery_timeout": 0.3,
    "mlflow_cb_max_recovery_attempts": 5,
    "git_commit": "0123456789abcdef0123456789abcdef01234567",
    "build_date": "2026-01-01T00:00:00+00:00",
    "database_password": PASSWORD,
    "database_user": "postgres",
    "database_name": "postgres",
}


def until(holds: Callable[[], object], limit_s: float = 3.0) -> bool:
    """Wait until something holds; whether it did in time."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.01)
    return bool(holds())


class Served:
    """An ASGI application on a free port and a thread of its own."""

    def __init__(self, app: ASGIApp) -> None:
        listener = listen("127.0.0.1", 0)
        self.port: int = listener.getsockname()[1]
        self._server = make_server(app, lifespan=True, signals=False)
        self._thread = threading.Thread(
            target=lambda: uvloop.run(self._server.serve(sockets=[listener])), daemon=True
        )
        self._thread.start()
        assert until(lambda: self._server.started, START_LIMIT_S)

    def begin_to_end(self) -> None:
        """Tell it to end, which takes the server 0.2 s at least."""
        self._server.should_exit = True

    def close(self) -> None:
        """End it."""
        self.begin_to_end()
        self._thread.join(10)


@dataclass
class Running:
    """A gateway that is up, and its links. `log` is what it wrote."""

    gateway: Gateway
    http: httpx.Client
    links: dict[str, Switch]
    mlflow: StubMlflow
    log: StringIO
    rig: "Rig"
    key: str
    key_id: str
    _closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def get(self, path: str, *, key: bool | str = False, **options: Any) -> httpx.Response:
        """GET; with the good key, another one, or none."""
        return self.ask("GET", path, key=key, **options)

    def ask(self, method: str, path: str, *, key: bool | str = True, **options: Any) -> httpx.Response:
        """A request; with the good key unless told otherwise."""
        headers = dict(options.pop("headers", {}))
        if key:
            headers["Authorization"] = f"Bearer {self.key if key is True else key}"
        return self.http.request(method, path, headers=headers, **options)

    def opened(self) -> Self:
        """Cut MLflow and call it until the breaker is OPEN."""
        self.links["mlflow"].cut()
        for _ in range(20):
            self.get("/api/mlflow/version", key=True)
            if self.gateway.breaker.get_status()["state"] == "OPEN":
                break
        return self

    def half_opened(self) -> Self:
        """OPEN, then MLflow is back, the wait over, and one counted call."""
        self.opened()
        self.links["mlflow"].restore()
        time.sleep(0.35)
        self.get("/health/mlflow")
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()


class Rig:
    """What the gateways of a test session share."""

    def __init__(self, folder: Path) -> None:
        self._closing = contextlib.ExitStack()
        self.loop = LoopThread()
        self._closing.callback(self.loop.close)
        self.redis_port = self._start_redis(folder)
        self.postgres_port = self._start_postgres(folder)
        self.redis = redis.Redis(port=self.redis_port, password=PASSWORD)
        self._closing.callback(self.redis.close)
        self.auth = Served(build_auth(AuthSettings(), Store(None)))
        self._closing.callback(self.auth.close)
        self.auth_http = httpx.Client(base_url=f"http://127.0.0.1:{self.auth.port}", trust_env=False)
        self._closing.callback(self.auth_http.close)
        self.mlflow = StubMlflow()
        self._closing.callback(self.mlflow.close)
        self._ending: list[tuple[Served, Gateway]] = []
        # The gateways live in this process: a full collection of all that pytest has imported (0.3 s and
        # more) would stop them for about as long as their time-outs here.
        gc.collect()
        gc.freeze()

    def close(self) -> None:
        """End everything."""
        self._end_all_but(0)
        self._closing.close()

    def _end_all_but(self, count: int) -> None:
        """Wait for the ends that began first."""
        while len(self._ending) > count:
            served, gateway = self._ending.pop(0)
            served.close()
            gateway.log.close()

    def make_key(self, kind: str = "good", limit: int | None = None) -> tuple[str, str]:
        """A new key and its id."""
        made = self.auth_http.post("/admin/keys", json={"kind": kind, "rate_limit_per_hour": limit}).json()
        return made["key"], made["key_id"]

    def revoke(self, key_id: str) -> None:
        """Make a key invalid."""
        self.auth_http.post(f"/admin/keys/{key_id}/revoke").raise_for_status()

    def validations(self) -> int:
        """How often the auth service was asked."""
        return int(self.auth_http.get("/admin/requests").json()["validate"]["total"])

    def start(self, *defects: str, **settings: Any) -> Running:
        """A gateway of its own, with these defects."""
        self._end_all_but(ENDING)
        closing = contextlib.ExitStack()
        ports = {
            "mlflow": self.mlflow.port,
            "postgres": self.postgres_port,
            "redis": self.redis_port,
            "queue": self.redis_port,
            "auth": self.auth.port,
        }
        links = {name: Switch(self.loop, ports[name]) for name in LINKS}
        for link in links.values():
            closing.callback(link.close)
        self.redis.flushall()
        self.mlflow.seen.clear()
        told = Settings.model_validate(
            {
                **SETTINGS,
                "mlflow_tracking_uri": f"http://127.0.0.1:{links['mlflow'].port}",
                "auth_service_url": f"http://127.0.0.1:{links['auth'].port}",
                "database_host": "127.0.0.1",
                "database_port": links["postgres"].port,
                "redis_url": f"redis://:{PASSWORD}@127.0.0.1:{links['redis'].port}/0",
                "queue_redis_url": f"redis://:{PASSWORD}@127.0.0.1:{links['queue'].port}/1",
                "gateway_defects": ",".join(defects),
                **settings,
            }
        )
        wiring = wire(told.defects)
        gateway = wiring.build(told)
        log = StringIO()
        gateway.log._stream = log
        served = Served(build_app(gateway, wiring))
        # Nothing reaches it from here on, nor does it reach anything: nobody has to wait for its end.
        closing.callback(self._ending.append, (served, gateway))
        closing.callback(served.begin_to_end)
        http = httpx.Client(
            base_url=f"http://127.0.0.1:{served.port}", trust_env=False, timeout=8, verify=False
        )
        closing.callback(http.close)
        key, key_id = self.make_key()
        return Running(gateway, http, links, self.mlflow, log, self, key, key_id, closing)

    def _start_redis(self, folder: Path) -> int:
        port = _free_port()
        program = Path(sys.executable).parent / "redis-server"
        process = subprocess.Popen(
            [program, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=folder, text=True
        )
        self._closing.callback(_end, process)
        assert process.stdin is not None
        process.stdin.write(f"port {port}\nbind 127.0.0.1\nsave ''\nappendonly no\nrequirepass {PASSWORD}\n")
        process.stdin.close()
        client = redis.Redis(port=port, password=PASSWORD)

        def answers() -> bool:
            with contextlib.suppress(redis.RedisError):
                return bool(client.ping())
            return False

        assert until(answers, START_LIMIT_S)
        client.close()
        return port

    def _start_postgres(self, folder: Path) -> int:
        port = _free_port()
        programs = postgres.programs()
        as_other: dict[str, Any] = {}
        # Root may not run it, and the other user can't enter the tests' folder.
        data = Path(self._closing.enter_context(_world_folder()))
        secret = data / "password"
        secret.write_text(PASSWORD)
        if folders.is_root():
            as_other = {"user": folders.UNPRIVILEGED, "group": folders.UNPRIVILEGED, "extra_groups": []}
            os.chown(data, folders.UNPRIVILEGED, folders.UNPRIVILEGED)
        subprocess.run(
            [
                *(programs / "initdb", "-D", data / "db", "-U", "postgres", f"--pwfile={secret}"),
                *("--auth-local=trust", "--auth-host=scram-sha-256", "--no-locale", "-E", "UTF8"),
                *("--no-sync", "--no-instructions"),
            ],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            timeout=60,
            **as_other,
        )
        process = subprocess.Popen(
            [
                *(programs / "postgres", "-D", data / "db"),
                *(f"-cport={port}", "-clisten_addresses=127.0.0.1", "-cunix_socket_directories="),
                *("-cfsync=off", "-cshared_buffers=16MB", "-cmax_connections=60"),
            ],
            cwd="/",
            stderr=subprocess.DEVNULL,
            **as_other,
        )
        self._closing.callback(_end, process)

        def answers() -> bool:
            with contextlib.suppress(psycopg2.Error):
                psycopg2.connect(
                    host="127.0.0.1", port=port, user="postgres", password=PASSWORD, connect_timeout=1
                ).close()
                return True
            return False

        assert until(answers, START_LIMIT_S)
        return port


@contextlib.contextmanager
def _world_folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="hokusai-rig-") as folder:
        os.chmod(folder, 0o755)
        yield folder


def _free_port() -> int:
    listener = listen("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    listener.close()
    return port


def _end(process: subprocess.Popen[Any]) -> None:
    process.send_signal(signal.SIGINT)  # which PostgreSQL does not wait for clients on
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
