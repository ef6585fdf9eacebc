"""The chaos phase, killed with SIGKILL at random moments: nothing of it stays on the target."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hokusai_sandbox.stack import Stack
from hokusai_validation.errors import HokusaiError
from hokusai_validation.resources.control import ControlClient
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.links import LinkClient
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target, read_target

CLEAN_WITHIN_S = 5.0
HEALTHY_WITHIN_S = 20.0
STARTS_WITHIN_S = 60.0
# After the first fault; the whole phase takes a little longer.
LATEST_S = 20.0
SAMPLE_LATEST_S = 7.0


def start_phase(target_file: Path) -> "subprocess.Popen[bytes]":
    """The chaos phase as a run starts it, in a group of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "hokusai_validation.run_test_suite",
            "--target",
            str(target_file),
            "--phase",
            "chaos",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment | {"PYTEST_ADDOPTS": ""},
    )


def within(limit_s: float, problem: Callable[[], str | None]) -> float:
    """How long it took until there was no problem any more."""
    started = time.monotonic()
    while True:
        seen = problem()
        if seen is None:
            return time.monotonic() - started
        assert time.monotonic() - started < limit_s, f"after {limit_s:g} s: {seen}"
        time.sleep(0.1)


def kill_and_look(target: Target, target_file: Path, moment_s: float) -> dict[str, object]:
    """One kill at a moment (s) after the first fault; what was on, how long it took until all was clean, and healthy."""
    links = LinkClient.from_target(target)
    control = ControlClient.from_target(target, Secrets(target))
    assert target.url is not None
    resolver = Resolver(target.dns.resolver)
    asked = [
        HttpClient(url, tls=target.tls, resolver=resolver)
        for url in (target.url, *(i.url for i in target.instances))
    ]

    def not_clean() -> str | None:
        dirty = [name for name, state in links.states().items() if not state.clean]
        down = [state.name for state in control.processes() if state.state != "running"]
        return f"links {dirty}, processes {down}" if dirty or down else None

    def not_healthy() -> str | None:
        for client in asked:
            try:
                status = client.get("/health", timeout_s=5).json()["status"]
            except HokusaiError as error:
                return str(error)
            if status != "healthy":
                return f"{client.base_url} says {status}"
        return None

    within(HEALTHY_WITHIN_S, not_healthy)
    process = start_phase(target_file)
    try:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not_clean() is None:
            assert process.poll() is None, "the phase ended without a fault"
            assert time.monotonic() < deadline, "no fault was put on"
            time.sleep(0.02)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment_s)
        before = not_clean() or "nothing"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    clean_s = within(CLEAN_WITHIN_S, not_clean)
    healthy_s = within(HEALTHY_WITHIN_S - clean_s, not_healthy)
    links.close()
    control.close()
    for client in asked:
        client.close()
    return {"moment_s": moment_s, "on": before, "clean_s": clean_s, "healthy_s": clean_s + healthy_s}


def moments(count: int, latest_s: float, seed: int) -> list[float]:
    """Random moments, one in each of as many equal parts of the time."""
    chosen = random.Random(seed)
    part_s = latest_s / count
    return [round((number + chosen.random()) * part_s, 2) for number in range(count)]


@pytest.mark.sandbox
@pytest.mark.parametrize("moment_s", moments(3, SAMPLE_LATEST_S, seed=5))
def test_nothing_stays_when_the_phase_is_killed(sandbox: Stack, moment_s: float) -> None:
    print(kill_and_look(read_target(str(sandbox.target_file)), sandbox.target_file, moment_s))


@pytest.mark.sandbox
@pytest.mark.soak
@pytest.mark.parametrize("moment_s", moments(20, LATEST_S, seed=20))
def test_nothing_stays_when_the_phase_is_killed_again_and_again(sandbox: Stack, moment_s: float) -> None:
    print(kill_and_look(read_target(str(sandbox.target_file)), sandbox.target_file, moment_s))
