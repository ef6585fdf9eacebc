"""A whole run of the command line as a process, watched from outside."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from hokusai_validation.runner.parentage import PARENT_VARIABLE

SETTINGS = "own-dagster.yaml"  # under a run's base: Dagster's settings instead of the project's
_PROJECTS = Path(__file__).parents[2] / ".dagster" / "dagster.yaml"
COMMAND = (sys.executable, "-m", "hokusai_validation.cli", "run")
LIMIT_S = 600.0


@dataclass(frozen=True)
class WholeRun:
    """What a run left: its folders, what it printed, and every command line seen meanwhile."""

    results: Path
    dagster_home: Path
    stdout: str
    stderr: str
    status: int
    command_lines: frozenset[str]
    report: dict[str, Any] = field(default_factory=dict)


def environment(base: Path, **more: str) -> dict[str, str]:
    """That of a run which keeps everything under `base` and ends when we do."""
    home = base / "dagster"
    home.mkdir(exist_ok=True)
    own = base / SETTINGS
    (home / "dagster.yaml").write_text((own if own.exists() else _PROJECTS).read_text())
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HOKUSAI") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {
        **inherited,
        "DAGSTER_HOME": str(home),
        "HOKUSAI_RESULTS": str(base / "results"),
        PARENT_VARIABLE: str(os.getpid()),
        **more,
    }


def run_whole(base: Path, target: Path, *words: str, more: Mapping[str, str] | None = None) -> WholeRun:
    """`hokusai-validation run TARGET --no-load --no-chaos` to its end; with `--json` among the words
    the report is read."""
    process = subprocess.Popen(
        [*COMMAND, str(target), "--no-load", "--no-chaos", *words],
        cwd=base,
        env=environment(base, **(more or {})),
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
    report = json.loads(stdout) if "--json" in words else {}
    return WholeRun(
        base / "results", base / "dagster", stdout, stderr, process.returncode, frozenset(seen), report
    )


def files_with(bases: Iterable[Path], secrets: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Files under the folders in which a value stands, each with the value's name."""
    return [
        (str(path), name)
        for base in bases
        for path in base.rglob("*")
        if path.is_file() and not path.is_symlink()
        for name, value in secrets.items()
        if value in path.read_bytes()
    ]


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
