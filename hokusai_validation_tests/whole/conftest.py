"""One whole run of the command line on the sandbox, looked at from several sides."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from hokusai_validation.sandbox.stack import Stack

SETTINGS = Path(__file__).parents[2] / ".dagster" / "dagster.yaml"
LIMIT_S = 300.0


@dataclass(frozen=True)
class WholeRun:
    """What a run left: its folders, what it printed, and every command line seen meanwhile."""

    results: Path
    dagster_home: Path
    stdout: str
    stderr: str
    status: int
    command_lines: frozenset[str]
    report: dict[str, Any]


@pytest.fixture(scope="session")
def whole_run(sandbox: Stack, tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """`hokusai-validation run TARGET --no-load --no-chaos --json`, once for all tests."""
    base = tmp_path_factory.mktemp("whole")
    home, results = base / "dagster", base / "results"
    home.mkdir()
    (home / "dagster.yaml").write_text(SETTINGS.read_text())
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "DAGSTER_HOME": str(home),
        "HOKUSAI_RESULTS": str(results),
    }
    words = [sys.executable, "-m", "hokusai_validation.cli", "run", str(sandbox.target_file)]
    process = subprocess.Popen(
        [*words, "--no-load", "--no-chaos", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen: set[str] = set()
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, seen, over), daemon=True)
    watcher.start()
    try:
        stdout, stderr = process.communicate(timeout=LIMIT_S)
    finally:
        over.set()
        process.kill()
    watcher.join(5)
    return WholeRun(results, home, stdout, stderr, process.returncode, frozenset(seen), json.loads(stdout))


def _watch(pid: int, seen: set[str], over: threading.Event) -> None:
    """Collect the command lines of a process and all that it starts, until it is over."""
    while not over.wait(0.2):
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for member in family:
            try:
                seen.add(" ".join(member.cmdline()))
            except psutil.Error:
                continue
