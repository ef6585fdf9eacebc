"""What the production settings need: a real PostgreSQL, and AWS by moto."""

import http.server
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import psycopg2
import pytest

from hokusai_sandbox import folders, postgres
from hokusai_sandbox.ports import Reservations
from hokusai_validation_tests.moto_server import serving_aws

PASSWORD = "own-password-of-this-test"
START_LIMIT_S = 30.0
DAEMON_TASK_DEFINITION = "hokusai-validation-daemon-development"
RUN_TASK_DEFINITION = "hokusai-validation-run-development"


@dataclass(frozen=True)
class Postgres:
    """A server of our own; `dagster` is a database in it. `restart` ends it and every connection to
    it, and starts it again."""

    host: str
    port: int
    user: str
    password: str
    restart: Callable[[], None]

    @property
    def environment(self) -> Mapping[str, str]:
        """What `deploy/dagster.yaml` finds it by."""
        return {
            "DAGSTER_POSTGRES_HOST": self.host,
            "DAGSTER_POSTGRES_PORT": str(self.port),
            "DAGSTER_POSTGRES_USER": self.user,
            "DAGSTER_POSTGRES_PASSWORD": self.password,
            "DAGSTER_POSTGRES_DB": "dagster",
        }


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server of our own in the block."""
    programs = postgres.programs()
    run_folder = folders.new_run_folder()
    data = run_folder / "data"
    postgres.prepare(data, programs, superuser_password=PASSWORD, mlflow_password=PASSWORD)
    reservations = Reservations(["postgres"])
    port = reservations.ports["postgres"]
    user = {"user": folders.UNPRIVILEGED, "group": folders.UNPRIVILEGED} if folders.is_root() else {}

    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        process = subprocess.Popen(  # type: ignore[call-overload]
            [str(programs / "postgres"), "-D", str(data), "-c", f"port={port}"],
            cwd="/",
            stderr=subprocess.DEVNULL,
            **user,
        )
        running.append(process)

    def stop() -> None:
        process = running.pop()
        process.send_signal(signal.SIGINT)
        process.wait(20)

    def restart() -> None:
        stop()
        start()
        _connect(port).close()

    start()
    try:
        _create_database(port)
        yield Postgres("127.0.0.1", port, "postgres", PASSWORD, restart)
    finally:
        stop()
        reservations.close()
        shutil.rmtree(run_folder, ignore_errors=True)


def _connect(port: int) -> Any:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            return psycopg2.connect(
                host="127.0.0.1", port=port, user="postgres", password=PASSWORD, dbname="postgres"
            )
        except psycopg2.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _create_database(port: int) -> None:
    connection = _connect(port)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("create database dagster")
    connection.close()


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The URL of an AWS stand-in."""
    with serving_aws() as url:
        yield url


def _register_task_definitions(url: str) -> None:
    """Those of `deploy/stack.yaml`: the run launcher asks for its own before it does anything. They are
    the first of their families, whatever other tests left in this process's ECS."""
    from moto.ecs.models import ecs_backends

    ecs_backends["123456789012"]["us-east-1"].reset()
    ecs = boto3.client(
        "ecs", "us-east-1", endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test"
    )
    for family, container in ((DAEMON_TASK_DEFINITION, "daemon"), (RUN_TASK_DEFINITION, "run")):
        ecs.register_task_definition(
            family=family,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="512",
            memory="2048",
            containerDefinitions=[
                {"name": container, "image": "registry.example/validation:1", "memory": 512}
            ],
        )


@pytest.fixture
def production(postgres_server: Postgres, moto: str, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The environment that `deploy/stack.yaml` gives a container, for these stand-ins."""
    values = {
        "AWS_ENDPOINT_URL": moto,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        **postgres_server.environment,
        "HOKUSAI_RESULTS_BUCKET": "hokusai-validation-results",
        "HOKUSAI_RUN_TASK_DEFINITION": RUN_TASK_DEFINITION,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    _register_task_definitions(moto)
    return values


@contextmanager
def task_metadata(cluster: str, task_arn: str) -> Iterator[str]:
    """ECS's task metadata endpoint, as a container finds it in ECS_CONTAINER_METADATA_URI_V4."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"Cluster": cluster, "TaskARN": task_arn, "Name": "daemon"}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    os.environ["ECS_CONTAINER_METADATA_URI_V4"] = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield os.environ["ECS_CONTAINER_METADATA_URI_V4"]
    finally:
        del os.environ["ECS_CONTAINER_METADATA_URI_V4"]
        server.shutdown()
        server.server_close()
