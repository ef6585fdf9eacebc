"""Real servers for the time of a block, to provoke real errors from."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from hokusai_sandbox import folders, postgres

START_LIMIT_S = 30.0
SUPERUSER = "superuser-password"
MLFLOW = "mlflow-password"


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def program(
    command: Sequence[str], port: int, *, stdin: str = "", unprivileged: bool = False
) -> Iterator[None]:
    """A program that listens on a port of loopback; ended with the block."""
    user: dict[str, int] = {}
    if unprivileged and folders.is_root():
        user = {"user": folders.UNPRIVILEGED, "group": folders.UNPRIVILEGED}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        user=user.get("user"),
        group=user.get("group"),
        extra_groups=[] if user else None,
    ) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(stdin.encode())
            process.stdin.close()
            _await(process, port, command[0])
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _await(process: "subprocess.Popen[bytes]", port: int, name: str) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{name} ended with {process.returncode}"
        with socket.socket() as knocking:
            if knocking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"{name} did not listen on {port} within {START_LIMIT_S:g} s")


@contextmanager
def postgresql() -> Iterator[int]:
    """The port of a PostgreSQL with MLflow's role and database."""
    programs, port = postgres.programs(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # for the user that it runs as under root
        data = Path(folder) / "data"
        postgres.prepare(data, programs, superuser_password=SUPERUSER, mlflow_password=MLFLOW)
        command = [str(programs / "postgres"), "-D", str(data), "-c", f"port={port}"]
        with program([*command, "-c", "unix_socket_directories="], port, unprivileged=True):
            _await_logins(port)
            yield port


def _await_logins(port: int) -> None:
    """It listens before it takes anybody in."""
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            psycopg2.connect(
                host="127.0.0.1", port=port, user="postgres", password=SUPERUSER, dbname="postgres"
            ).close()
            return
        except psycopg2.OperationalError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


@contextmanager
def redis(*settings: str) -> Iterator[int]:
    """The port of a Redis."""
    port = free_port()
    found = shutil.which(
        "redis-server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    assert found is not None
    lines = [f"port {port}", "bind 127.0.0.1", 'save ""', "appendonly no", *settings]
    with program([found, "-"], port, stdin="\n".join(lines) + "\n"):
        yield port
