"""The filters of the alarms against what Dagster really logs: a filter that matches nothing never rings."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hokusai_validation_tests.deploy import failing
from hokusai_validation_tests.deploy.policies import Stack

LIMIT_S = 120.0
PROGRAMS = Path(sys.executable).parent


def matches(pattern: str, line: str) -> bool:
    """CloudWatch's rule for quoted terms: all of them stand in the line, case counts.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html"""
    terms = re.findall(r'"([^"]*)"', pattern)
    assert terms
    return all(term in line for term in terms)


def pattern_of(name: str) -> str:
    return str(Stack().resources[name]["Properties"]["FilterPattern"])


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return {**os.environ, "DAGSTER_HOME": str(tmp_path)}


def test_a_tick_that_fails_is_counted(environment: dict[str, str], tmp_path: Path) -> None:
    log, pattern = tmp_path / "daemon.log", pattern_of("TickErrors")
    with log.open("wb") as out:
        daemon = subprocess.Popen(
            [str(PROGRAMS / "dagster-daemon"), "run", "-m", failing.__name__],
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
        )
    try:
        deadline = time.monotonic() + LIMIT_S
        counted: list[str] = []
        while not counted and time.monotonic() < deadline and daemon.poll() is None:
            time.sleep(0.2)
            lines = log.read_text(errors="replace").splitlines()
            counted = [line for line in lines if matches(pattern, line)]
    finally:
        daemon.terminate()
        daemon.wait(30)
    assert counted, log.read_text()[-3000:]
    assert "Sensor" in counted[0]


def test_a_report_is_counted_once(environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [str(PROGRAMS / "dagster"), "asset", "materialize", "-m", failing.__name__, "--select", "t/report"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=LIMIT_S,
    )
    printed, pattern = (done.stdout + done.stderr).splitlines(), pattern_of("Reports")
    assert done.returncode == 0, printed[-20:]
    assert len([line for line in printed if matches(pattern, line)]) == 1
