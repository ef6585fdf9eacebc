"""`hokusai-validation ui` as a person starts it, for a target of the test's own: real code server,
webserver and daemon on a free port, with a Dagster instance and results that nobody else uses."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
START_LIMIT_S = 90.0
STOP_LIMIT_S = 60.0
GONE_LIMIT_S = 15.0  # a run that is in the middle is ended after the command that serves it
POLL_S = 0.1
PARENT_VARIABLE = "HOKUSAI_PARENT_PID"


@dataclass(frozen=True)
class Served:
    """A UI that is up. `environment` is what a command needs to use the same instance."""

    url: str
    port: int
    process: "subprocess.Popen[bytes]"
    environment: Mapping[str, str]
    results: Path

    def ask(self, query: str, **variables: object) -> Any:
        """What GraphQL answers.

        Raises AssertionError when it answers errors."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(f"{self.url}/graphql", body, {"content-type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            values = json.loads(answer.read())
        assert not values.get("errors"), values["errors"]
        return values["data"]

    def command(self, *words: str, limit_s: float) -> "subprocess.CompletedProcess[str]":
        """Run `hokusai-validation` with the same instance, targets and results."""
        return subprocess.run(
            [sys.executable, "-m", "hokusai_validation.cli", *words],
            env=dict(self.environment),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=limit_s,
        )

    def listening(self) -> set[tuple[str, int]]:
        """Every TCP address that the UI's processes listen on."""
        family = [psutil.Process(self.process.pid)]
        family += family[0].children(recursive=True)
        found = set()
        for each in family:
            try:
                connections = each.net_connections(kind="tcp")
            except psutil.Error:
                continue
            found |= {
                (connection.laddr.ip, connection.laddr.port)
                for connection in connections
                if connection.status == psutil.CONN_LISTEN
            }
        return found


@contextmanager
def serving(folder: Path, targets: Path) -> Iterator[Served]:
    """The UI of all targets of a folder; all of its processes end with the block, and with us."""
    environment = _environment(folder, targets)
    port = _free_port()
    log = folder / "ui-command.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "hokusai_validation.cli", "ui", "--no-sandbox"),
                *("--port", str(port), "--workspace", str(ROOT / "workspace.yaml")),
            ],
            env=environment | {PARENT_VARIABLE: str(os.getpid())},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await_ready(process, log, folder)
        yield Served(f"http://{HOST}:{port}", port, process, environment, folder / "results")
    finally:
        _stop(process)


def _environment(folder: Path, targets: Path) -> dict[str, str]:
    home = folder / "dagster"
    home.mkdir()
    shutil.copy(ROOT / ".dagster" / "dagster.yaml", home)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {
        "DAGSTER_HOME": str(home),
        "HOKUSAI_RESULTS": str(folder / "results"),
        "HOKUSAI_TARGETS_DIR": str(targets),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _await_ready(process: "subprocess.Popen[bytes]", log: Path, folder: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        if "ready after" in log.read_text(encoding="utf-8"):
            return
        time.sleep(POLL_S)
    own = folder / "dagster" / "ui.log"
    servers = own.read_text(encoding="utf-8")[-3000:] if own.exists() else ""
    raise AssertionError(f"The UI did not come up: {log.read_text(encoding='utf-8')}\n{servers}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End it, and see that nothing of it is left. Not by SIGINT: a shell's background job ignores it."""
    started = _family(process.pid)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT_S)
    finally:
        gone, left = psutil.wait_procs(started, timeout=GONE_LIMIT_S)
        for each in left:
            each.kill()
        process.kill()
        process.wait()
    assert not left, f"{len(left)} of {len(gone) + len(left)} processes outlived the UI: {left}"


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
