"""`hokusai-validation ui` for one light target, and a run launched through its daemon."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

from hokusai_sandbox_tests.aids import kill_below
from hokusai_validation_tests.endurance.kills import Bench
from hokusai_validation_tests.endurance.light import ENVIRONMENT, within
from hokusai_validation_tests.whole.running import environment

HOST = "127.0.0.1"
READY_S = 120.0
RUN_S = 400.0
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
LAUNCH = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


class Ui:
    """A UI that is up."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, name: str) -> None:
        self.process = process
        self._port = port
        self._name = name

    def launch(self) -> str:
        """Launch the light job; the run's id."""
        selector = {"repositoryName": "__repository__", "repositoryLocationName": self._name}
        tags = [{"key": "target", "value": self._name}]
        given = {
            "selector": {**selector, "jobName": "light"},
            "executionMetadata": {"tags": tags},
            "runConfigData": "{}",
        }
        made = self._ask(LAUNCH, p=given)["launchRun"]
        assert made["__typename"] == "LaunchRunSuccess", made
        return str(made["run"]["runId"])

    def status(self, run_id: str) -> str:
        """Of a run."""
        return str(self._ask(STATUS, id=run_id)["runOrError"]["status"])

    def await_end(self, run_id: str) -> str:
        """The status that a run ends with."""
        assert within(RUN_S, lambda: self.status(run_id) in ENDED), self.status(run_id)
        return self.status(run_id)

    def kill_daemon(self) -> None:
        """SIGKILL."""
        kill_below(self.process.pid, "dagster-daemon")

    def answers(self) -> bool:
        """Whether it is ready."""
        try:
            with urlopen(f"http://{HOST}:{self._port}/server_info", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _ask(self, query: str, **variables: object) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(f"http://{HOST}:{self._port}/graphql", body, {"content-type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            values = json.loads(answer.read())
        assert not values.get("errors"), values["errors"]
        return values["data"]


@contextmanager
def serving(bench: Bench) -> Iterator[Ui]:
    """The UI in the block; whatever is left of it ends with the block, and with us."""
    location = {"module_name": "hokusai_validation.definitions", "attribute": bench.name}
    workspace = bench.base / "workspace.yaml"
    workspace.write_text(
        json.dumps({"load_from": [{"python_module": {**location, "location_name": bench.name}}]})
    )
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = int(probe.getsockname()[1])
    words = ["ui", "--no-sandbox", "--port", str(port), "--workspace", str(workspace)]
    more = {**ENVIRONMENT, "HOKUSAI_TARGETS_DIR": str(bench.base)}
    with (bench.base / "output.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hokusai_validation.cli", *words],
            cwd=bench.base,
            env=environment(bench.base, **more, **bench.more),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    made = Ui(process, port, bench.name)
    try:
        assert within(READY_S, lambda: made.answers() or process.poll() is not None), bench.output()
        yield made
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def sleep_noting(bench: Bench, seconds: float) -> None:
    """Let a run go on for so long, and remember every row that it reports."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        bench.note_sent()
        time.sleep(0.1)
