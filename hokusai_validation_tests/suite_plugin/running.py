"""Runs the plugin on test files of our own, in a pytest process of its own."""

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from hokusai_validation.result import Result, Status
from hokusai_validation.store.record import read_file

CONFTEST = """
from hokusai_validation.runner import timelimit
from hokusai_validation.suite.conftest import *
timelimit.GRACE_S = 3.0
"""

# A target that has everything the unit tests' entries need, and nothing that can be reached.
TARGET = """
name = "stub"
env_file = "secrets.env"
[breaker]
path = "nothing:Nothing"
[keys]
good = { env = "STUB_KEY" }
[limits.tests."TestMLflowCircuitBreaker::test_force_reset"]
limit_s = 1.0
"""
SECRET = "correct-horse-battery"


@dataclass(frozen=True)
class Ran:
    """What a pytest process did."""

    status: int
    output: str
    rows: tuple[Result, ...]

    def of(self, function: str) -> list[Result]:
        """The attempts at a test, by its function's name."""
        return [row for row in self.rows if row.test.rpartition("::")[2] == function]

    def statuses(self, function: str) -> list[Status]:
        """The statuses of its attempts."""
        return [row.status for row in self.of(function)]


def run_suite(folder: Path, files: dict[str, str], *arguments: str, target: str = TARGET) -> Ran:
    """Run test files under the plugin."""
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "target.toml").write_text(target, encoding="utf-8")
    (folder / "secrets.env").write_text(f"STUB_KEY={SECRET}\n", encoding="utf-8")
    for name, text in files.items():
        (folder / name).write_text(textwrap.dedent(text), encoding="utf-8")
    rows = folder / "rows.jsonl"
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", str(folder), "-c", str(folder / "pytest.ini")),
            *("-p", "hokusai_validation.runner.plugin", "-p", "no:cacheprovider"),
            *(f"--target={folder / 'target.toml'}", f"--rows={rows}", *arguments),
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout + done.stderr, read_file(rows).rows)
