"""Nothing is left, whatever is killed: one stack for each way to end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hokusai_sandbox.asking import ask
from hokusai_sandbox.folders import cache_folder
from hokusai_sandbox.stack import Stack
from hokusai_sandbox_tests.aids import all_gone, eventually, family, leftovers

pytestmark = pytest.mark.sandbox

OWNER = """
import sys, time
from pathlib import Path
from hokusai_sandbox.stack import Stack
with Stack.start(Path(sys.argv[1]), only=["postgres", "redis", "links"]) as stack:
    print("up", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def owner_of_a_stack(folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Another process that has started a stack; its status."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        yield owner, Stack(folder).status()
    finally:
        owner.kill()
        owner.wait(10)
        assert owner.stdout is not None
        owner.stdout.close()


def supervisor_and_keeper(status: dict[str, Any]) -> tuple[psutil.Process, psutil.Process]:
    supervisor = psutil.Process(status["supervisor"]["pid"])
    keeper = supervisor.parent()
    assert keeper is not None
    return supervisor, keeper


@pytest.mark.parametrize("how", ["owner killed", "owner interrupted"])
def test_everything_ends_with_its_owner(how: str, tmp_path: Path) -> None:
    with owner_of_a_stack(tmp_path) as (owner, status):
        _, keeper = supervisor_and_keeper(status)
        processes = family(keeper.pid)
        assert len(processes) >= 7
        if how == "owner killed":
            owner.kill()
        else:
            os.killpg(owner.pid, signal.SIGINT)
        eventually(lambda: all_gone(processes), what="every process gone")
    eventually(lambda: not leftovers(status["run_folder"]), what="the run's files gone")
    assert Stack(tmp_path).status()["up"] is False
    assert not (tmp_path / "secrets.env").exists()


def test_nothing_outlives_a_killed_supervisor_even_what_is_paused(tmp_path: Path) -> None:
    with owner_of_a_stack(tmp_path) as (_, status):
        supervisor, keeper = supervisor_and_keeper(status)
        address = status["supervisor"]["address"]
        ask(tmp_path, address, "POST", "/processes/postgres/pause")
        ask(tmp_path, address, "POST", "/processes/links/pause")
        processes = family(keeper.pid)
        supervisor.send_signal(signal.SIGKILL)
        eventually(lambda: all_gone(processes), what="every process gone")
    assert not leftovers(status["run_folder"])


def test_nothing_outlives_a_killed_keeper(tmp_path: Path) -> None:
    with owner_of_a_stack(tmp_path) as (_, status):
        _, keeper = supervisor_and_keeper(status)
        processes = family(keeper.pid)
        keeper.send_signal(signal.SIGKILL)
        eventually(lambda: all_gone(processes), what="every process gone")
    assert not leftovers(status["run_folder"])
    assert Stack(tmp_path).status()["up"] is False


def test_a_start_clears_what_a_doubly_killed_one_left(tmp_path: Path) -> None:
    with owner_of_a_stack(tmp_path) as (_, status):
        supervisor, keeper = supervisor_and_keeper(status)
        processes = family(keeper.pid)
        keeper.send_signal(signal.SIGSTOP)  # so that it can't clean up
        supervisor.send_signal(signal.SIGKILL)
        keeper.send_signal(signal.SIGKILL)
        eventually(lambda: all_gone(processes), what="every process gone")
        assert leftovers(status["run_folder"])
    assert Stack(tmp_path).status()["up"] is False
    with Stack.start(tmp_path, only=["redis"]) as stack:
        assert stack.status()["up"] is True
        assert not leftovers(status["run_folder"])


def test_an_ordinary_user_can_start_it_without_a_writable_home(tmp_path: Path) -> None:
    """As root the test becomes an ordinary user in a user namespace: its interpreter may lie where
    no other user can reach it."""
    program = (
        "import json, os, sys; from pathlib import Path; from hokusai_sandbox.stack import Stack\n"
        "assert os.geteuid() != 0\n"
        "with Stack.start(Path(sys.argv[1])) as stack: print(json.dumps(stack.status()))"
    )
    as_user = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        # Its own cache, but not its own first start: that is another test's.
        "HOKUSAI_SANDBOX_CACHE": str(cache_folder()),
    }
    done = subprocess.run(
        [*as_user, sys.executable, "-c", program, str(tmp_path / "sandbox")],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert len(status["services"]) == 10
    # Of a stack that has only just started: one that others have used for minutes has grown.
    assert 200e6 < status["memory_bytes"] < 700e6
    assert not leftovers(status["run_folder"])
