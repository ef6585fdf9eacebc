"""Ending an experiment from outside, and faults that nobody leases."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from hokusai_validation.chaos.faults.refuse import Refuse
from hokusai_validation.chaos.injection import Injector
from hokusai_validation.chaos.stop import stop
from hokusai_validation.errors import FaultOrphaned
from hokusai_validation.target import Links
from hokusai_validation_tests.chaos.stage import Stage
from hokusai_validation_tests.chaos.test_injection import HOLD
from hokusai_validation_tests.http_handler import Handler
from hokusai_validation_tests.links.program import LinkProgram, until


@contextlib.contextmanager
def holding(target_file: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has faults on."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(target_file)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_stop_ends_the_process_and_takes_the_faults_off(scenery: Stage, tmp_path: Path) -> None:
    with holding(scenery.write_target(tmp_path)) as process:
        done = stop(scenery.target, scenery.secrets)
        assert done[0].startswith(f"Ended process {process.pid} (faults: refuse, since ")
        assert process.wait(20) != 0
        assert scenery.dirty() == []


def test_stop_may_be_called_as_often_as_one_likes(scenery: Stage) -> None:
    scenery.program.add("latency", name="api-1.mlflow", latency=5)
    scenery.program.call("POST", "/proxies/api-2.redis", {"enabled": False})
    assert stop(scenery.target, scenery.secrets) == ["Took the faults off api-1.mlflow, api-2.redis."]
    assert stop(scenery.target, scenery.secrets) == []
    assert scenery.dirty() == []


def test_stop_from_the_command_line(scenery: Stage, tmp_path: Path) -> None:
    scenery.program.add("latency", name="api-1.mlflow", latency=5)
    words = [sys.executable, "-m", "hokusai_validation.cli", "chaos", "stop"]
    done = subprocess.run(
        [*words, str(scenery.write_target(tmp_path))], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "No fault is on target 'stage'."
    assert scenery.dirty() == []


def test_what_stop_can_not_take_off_is_told_with_its_command(scenery: Stage, tmp_path: Path) -> None:
    with LinkProgram(tmp_path, []) as gone:
        url = gone.url
    target = scenery.target.model_copy(update={"links": Links(url=url)})
    with pytest.raises(FaultOrphaned) as raised:
        stop(target, scenery.secrets)
    assert raised.value.command == f"curl -fsS -X POST {url}/reset"
    assert raised.value.exit_status == 3


class _Toxiproxy(Handler):
    """The link program without what Toxiproxy has not: leases and counters."""

    behind = ""

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.startswith("/leases"):
            status, content = 404, b"404 page not found"
        else:
            answer = httpx.request(self.command, self.behind + self.path, content=body, trust_env=False)
            status, content = answer.status_code, answer.content
            if content.startswith(b"{") and b'"counters"' in content:
                shown = json.loads(content)
                for link in [shown, *shown.values()]:
                    if isinstance(link, dict):
                        link.pop("counters", None)
                        link.pop("upstream_down", None)
                content = json.dumps(shown).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_PATCH = _pass_on


@pytest.fixture
def without_leases(scenery: Stage) -> Iterator[str]:
    """The address of the same links as a server shows them that has no leases."""
    handler = type("Handler", (_Toxiproxy,), {"behind": scenery.program.url})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_server_without_leases_is_driven_by_the_same_client(scenery: Stage, without_leases: str) -> None:
    assert scenery.target.links is not None
    links = scenery.target.links.model_copy(update={"url": without_leases})
    target = scenery.target.model_copy(update={"links": links})
    with Injector(target, scenery.secrets) as injector:
        assert not injector.links.has_leases
        assert injector.links.state("api-1->mlflow").counters is None
        with injector.fault(Refuse("api-1->mlflow")):
            assert scenery.dirty() == ["api-1.mlflow"]
    assert scenery.dirty() == []


def test_without_leases_a_watchdog_takes_the_faults_off(
    scenery: Stage, without_leases: str, tmp_path: Path
) -> None:
    file = scenery.write_target(tmp_path)
    file.write_text(file.read_text().replace(scenery.program.url, without_leases))
    with holding(file) as process:
        assert scenery.dirty() == ["api-1.mlflow", "api-1.redis"]
        os.kill(process.pid, signal.SIGKILL)
        assert until(lambda: scenery.dirty() == [], 5.0)


def test_a_port_that_is_not_an_agent_is_told(scenery: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = scenery.target.model_copy(
            update={"links": Links(url=f"http://127.0.0.1:{silent.getsockname()[1]}")}
        )
        threading.Timer(0.1, silent.close).start()
        with pytest.raises(FaultOrphaned, match="does not answer"):
            stop(target, scenery.secrets)
