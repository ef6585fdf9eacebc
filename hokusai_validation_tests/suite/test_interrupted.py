"""A test that is ended in the middle of a fault leaves the target as it found it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hokusai_sandbox.stack import Stack
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.links import LinkClient
from hokusai_validation.result import Result, Status
from hokusai_validation.target import Target, read_target
from hokusai_validation_tests.suite.suite_runs import SUITE

TEST = "TestHealthEndpointScenarios::test_timeout_handling"
START_LIMIT_S = 60.0
END_LIMIT_S = 30.0
LEASE_LIMIT_S = 10.0

pytestmark = pytest.mark.sandbox


@contextlib.contextmanager
def running(target_file: Path, rows: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The suite with the one test, in a process of its own."""
    file = f"{SUITE / 'test_health_endpoints.py'}::{TEST}"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", file, f"--target={target_file}", f"--rows={rows}", "-q"],
        cwd=rows.parent,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(look: Callable[[], bool], what: str, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not look():
        assert time.monotonic() < deadline, f"{what} within {limit_s:g} s"
        time.sleep(0.02)


def services(target: Target) -> dict[str, str]:
    with HttpClient(target.instances[0].url) as client:
        return dict(client.get("/health").json()["services"])


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name
)
def test_ended_by_a_signal(number: signal.Signals, sandbox: Stack, tmp_path: Path) -> None:
    target = read_target(str(sandbox.target_file))
    links = LinkClient.from_target(target)
    edges = [f"{target.instances[0].name}->{name}" for name in ("mlflow", "redis", "postgres")]
    with running(sandbox.target_file, tmp_path / "rows.jsonl") as process:
        until(lambda: not any(links.state(edge).clean for edge in edges), "faults on", START_LIMIT_S)
        process.send_signal(number)
        process.wait(END_LIMIT_S)
    # Whoever is killed undoes nothing: then the leases do.
    until(lambda: all(links.state(edge).clean for edge in edges), "links clean", LEASE_LIMIT_S)
    links.close()
    if number is signal.SIGKILL:
        with HttpClient(target.instances[0].url) as client:
            until(lambda: client.get("/health/mlflow").status == 200, "MLflow reached again", LEASE_LIMIT_S)
    until(
        lambda: set(services(target).values()) == {"healthy"},
        "every service healthy",
        LEASE_LIMIT_S if number is signal.SIGKILL else 1.0,
    )


@pytest.mark.soak
def test_ended_by_its_time_limit(sandbox: Stack, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.toml"
    narrow.write_text(
        f'name = "sandbox"\ninclude = "{sandbox.target_file}"\n[limits.tests."{TEST}"]\nlimit_s = 1.0\n'
    )
    rows = tmp_path / "rows.jsonl"
    with running(narrow, rows) as process:
        process.wait(START_LIMIT_S)
    found = [Result.model_validate_json(line) for line in rows.read_text().splitlines()]
    (row,) = [each for each in found if each.test == TEST]
    assert row.status is Status.BROKEN
    assert "did not end within its limit of 1 s" in row.message
    target = read_target(str(sandbox.target_file))
    assert set(services(target).values()) == {"healthy"}
    links = LinkClient.from_target(target)
    assert all(state.clean for state in links.states().values())
    links.close()
