"""The whole suite against a hostile target: bounded in memory and time, a row for every test, and
nothing of ours trips over what it is told."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from hokusai_validation.catalogue import phase_entries
from hokusai_validation.result import Phase, Result, Status
from hokusai_validation.store.record import read_file
from hokusai_validation_tests.hostile.server import WAYS, hostile

PHASES = (Phase.ENVIRONMENT, Phase.DISCOVERY, Phase.HEALTH, Phase.FUNCTIONAL)
LIMIT_S = 900.0  # about waiting for ever: some 170 tests, twice, with requests of half a second
MEMORY_MB = 400.0  # the interpreter, MLflow's client, and a few answers of 16 MiB at once
KEY = "hk_test_0123456789abcdef"
# Runs its arguments and prints the most memory (KiB) that they took. A process of its own: Linux hands
# the caller's maximum on through fork and exec, and pytest's is often larger than the suite's.
MEASURE = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"""
SAMPLE = ("odd_types",)  # the one that most parsers see; the others are for the soak run


@dataclass(frozen=True)
class Ran:
    """What a suite process did."""

    rows: Sequence[Result]
    memory_mb: float


def target_file(folder: Path, url: str) -> Path:
    """A target whose every address is the hostile server."""
    path = folder / "hostile.toml"
    path.write_text(
        f"""name = "hostile"
[endpoints]
registry = "{url}"
api = "{url}"
auth = "{url}"
[keys]
good = {{ env = "HOSTILE_KEY" }}
[auth]
url = "{url}"
[mlflow]
url = "{url}"
[[instances]]
name = "api-1"
url = "{url}"
[gateway]
health_timeout_s = 0.5
proxy_timeout_s = 0.5
[limits]
request_s = 0.5
""",
        encoding="utf-8",
    )
    return path


def run_suite(folder: Path, url: str) -> Ran:
    """The suite's four phases without load and faults, as one process."""
    rows = folder / "rows.jsonl"
    words = [sys.executable, "-m", "hokusai_validation.run_test_suite", "--rows", str(rows)]
    words += ["--target", str(target_file(folder, url))]
    for phase in PHASES:
        words += ["--phase", phase.value]
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, "timeout", "--signal=KILL", str(LIMIT_S), *words],
        env={**inherited, "HOSTILE_KEY": KEY},
        stdout=subprocess.PIPE,
        timeout=LIMIT_S + 30,
        check=True,
    )
    return Ran(read_file(rows).rows, int(done.stdout) / 1024)


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=() if way in SAMPLE else pytest.mark.soak) for way in WAYS]
)
def test_every_test_has_a_row_and_none_trips(way: str, tmp_path: Path) -> None:
    with hostile(way) as url:
        ran = run_suite(tmp_path, url)
    assert {row.test for row in ran.rows} >= {
        entry.test for phase in PHASES for entry in phase_entries(phase)
    }
    tripped = [(row.id, row.test, row.message) for row in ran.rows if row.status is Status.BROKEN]
    assert tripped == []
    assert ran.memory_mb < MEMORY_MB
