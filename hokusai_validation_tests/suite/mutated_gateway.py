"""A gateway of our own beside a sandbox: its defects chosen, its links its own, so that it can be
cut off without touching anything that others use. The services behind it are the sandbox's."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from hokusai_sandbox.ports import LOOPBACK, Reservations
from hokusai_sandbox.stack import Stack
from hokusai_validation.descent import die_with_parent
from hokusai_validation_tests.suite.wrong_services import WrongService, served

INSTANCE = "api-1"
GOOD_KEY = "HOKUSAI_SANDBOX_KEY_GOOD"
# Shorter than the sandbox's, for quick tests; long enough to be seen OPEN.
RECOVERY_S = 0.5
START_LIMIT_S = 120.0
STOP_LIMIT_S = 5.0
BEHIND = {
    "mlflow": "mlflow",
    "postgres": "postgres",
    "redis": "redis",
    "message_queue": "redis",
    "auth": "auth",
}


@dataclass(frozen=True)
class MutatedGateway:
    """One that is up. `target_file` describes it as a target."""

    target_file: Path
    url: str
    log: Path


class Gateways:
    """Starts gateways with defects, one at a time, behind one set of links."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._ports = Reservations(["api", "admin", "links-api", *BEHIND])
        services = stack.status()["services"]
        configuration = folder / "links.json"
        configuration.write_text(
            json.dumps(
                [
                    {
                        "name": f"{INSTANCE}.{name}",
                        "listen": self._address(name),
                        "upstream": services[service]["address"],
                        "enabled": True,
                    }
                    for name, service in BEHIND.items()
                ]
            )
        )
        self._environment = psutil.Process(services[INSTANCE]["pid"]).environ()
        self._links = self._start(
            folder / "links.log",
            ["hokusai_validation.links", "--config", str(configuration), "--api", self._address("links-api")],
            self._environment,
        )
        _await(f"http://{self._address('links-api')}/version", self._links, folder / "links.log")

    def close(self) -> None:
        """End the links and give the ports back."""
        _end(self._links)
        self._ports.close()

    @contextlib.contextmanager
    def with_wrong(self, wrong: WrongService) -> Iterator[MutatedGateway]:
        """A gateway with a wrong service behind it, in the block."""
        real = self._stack.status()["services"][wrong.service]["address"]
        with (
            served(wrong, real) as url,
            self.with_defects(services={wrong.service: url}) as gateway,
        ):
            yield gateway

    @contextlib.contextmanager
    def with_defects(
        self, *names: str, services: Mapping[str, str] | None = None
    ) -> Iterator[MutatedGateway]:
        """A gateway with these defects, in the block; `services` (`auth`, `mlflow`) are base URLs of
        others than the sandbox's."""
        others = services or {}
        self._own_key()
        # The sandbox shows this file's lines in CloudWatch, as it does the first instance's own.
        log = self._stack.directory / "logs" / f"{INSTANCE}.log"
        process = self._start(
            log,
            ["hokusai_sandbox.gateway"],
            {
                **self._environment,
                "PORT": self._port("api"),
                "ADMIN_PORT": self._port("admin"),
                "INSTANCE_NAME": INSTANCE,
                "MLFLOW_TRACKING_URI": others.get("mlflow", f"http://{self._address('mlflow')}"),
                "AUTH_SERVICE_URL": others.get("auth", f"http://{self._address('auth')}"),
                "DATABASE_PORT": self._port("postgres"),
                "REDIS_URL": self._redis("redis", 0),
                "QUEUE_REDIS_URL": self._redis("message_queue", 1),
                "MLFLOW_CB_RECOVERY_TIMEOUT": str(RECOVERY_S),
                "GATEWAY_DEFECTS": ",".join(names),
            },
        )
        try:
            _await(f"http://{self._address('admin')}/failpoints", process, log)
            yield MutatedGateway(self._target(others.get("auth")), f"http://{self._address('api')}", log)
        finally:
            _end(process)
            httpx.post(f"http://{self._address('links-api')}/reset", timeout=5.0, trust_env=False)

    def _own_key(self) -> None:
        """A good key of this gateway's own: what others keep of theirs would hide what it does."""
        auth = self._stack.status()["services"]["auth"]["address"]
        made = httpx.post(f"http://{auth}/admin/keys", json={"kind": "good"}, timeout=5.0, trust_env=False)
        path = self._stack.directory / "secrets.env"
        lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{GOOD_KEY}=")]
        own = self._folder / "secrets.env"
        own.touch(0o600)
        own.write_text("\n".join([*lines, f"{GOOD_KEY}={made.json()['key']}", ""]))

    def _target(self, auth: str | None) -> Path:
        url = f"http://{self._address('api')}"
        edges = "\n".join(f'"{INSTANCE}->{name}" = "{INSTANCE}.{name}"' for name in BEHIND)
        asked = f'[auth]\nurl = "{auth}"' if auth is not None else ""
        path = self._folder / "mutated.toml"
        path.write_text(
            f"""
name = "mutated"
include = "{self._stack.target_file}"
env_file = "secrets.env"
instances = [{{name = "{INSTANCE}", url = "{url}", failpoints = "http://{self._address("admin")}"}}]

[endpoints]
registry = "{url}"
api = "{url}"

[gateway]
breaker_recovery_timeout_s = {RECOVERY_S}

{asked}

[limits]
recovery_s = 12.0

[links]
url = "http://{self._address("links-api")}"

[links.edges]
{edges}
"""
        )
        return path

    @staticmethod
    def _start(log: Path, module: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", *module],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                preexec_fn=die_with_parent,
            )

    def _redis(self, name: str, database: int) -> str:
        url = self._environment["REDIS_URL"]
        credentials = url.rpartition("@")[0]
        return f"{credentials}@{self._address(name)}/{database}"

    def _port(self, name: str) -> str:
        return str(self._ports.ports[name])

    def _address(self, name: str) -> str:
        return f"{LOOPBACK}:{self._port(name)}"


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, timeout=2.0, trust_env=False)
            return
        time.sleep(0.05)
    raise AssertionError(f"{url} does not answer: {log.read_text()[-1000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
