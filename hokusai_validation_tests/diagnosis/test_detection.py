"""The diagnosis on a real stack: five defects and a clean run; the rest is `benchmarks.detection`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.detection.cases import SCENARIOS, read
from benchmarks.detection.judge import judge
from benchmarks.detection.model import Draw
from benchmarks.detection.records import said_of
from benchmarks.detection.stage import Stage
from hokusai_sandbox.scenarios import find, names
from hokusai_sandbox.stack import Stack
from hokusai_validation.diagnosis import diagnose
from hokusai_validation.result import Category, Result
from hokusai_validation.runner.selection import SUITE_DIR
from hokusai_validation.store.record import read_file
from hokusai_validation.target import read_target

FIVE = ("rollout_failed", "task_missing", "name_stale", "wrong_listener_rule", "database_stopped")
AT_REST = (Category.ENVIRONMENT, Category.DISCOVERY, Category.INFRASTRUCTURE)
LIMIT_S = 400.0


def rows_of(target: Path, categories: tuple[Category, ...], file: Path) -> tuple[Result, ...]:
    """The suite's rows of some categories against a target."""
    command = [sys.executable, "-m", "pytest", str(SUITE_DIR), "--rootdir", str(SUITE_DIR)]
    command += ["-c", str(SUITE_DIR / "pytest.ini"), "-p", "no:cacheprovider", "-q"]
    command += ["-p", "hokusai_validation.runner.plugin", f"--target={target}", f"--rows={file}"]
    command += [f"--category={category.value}" for category in categories]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env=environment)
    rows = read_file(file).rows
    assert rows, (done.stderr or done.stdout)[-500:]
    return rows


@pytest.mark.sandbox
@pytest.mark.parametrize("name", FIVE)
def test_a_defect_is_found_with_its_cause(name: str, sandbox: Stack, tmp_path: Path) -> None:
    draw = next(draw for draw in read(SCENARIOS) if draw.id == name)
    changes = [{"do": "aws", **state} for state in find(name).aws]
    with Stage(sandbox.directory).changed(changes):
        rows = rows_of(sandbox.target_file, (Category.DISCOVERY,), tmp_path / "rows.jsonl")
    said = said_of(diagnose(rows, read_target(str(sandbox.target_file))))
    outcome = judge(draw, said)
    assert outcome.right, f"{[str(item) for item in said]} for {[str(item) for item in draw.expected]}"
    assert outcome.extra == ()


@pytest.mark.sandbox
def test_a_clean_stack_has_no_finding(sandbox: Stack, tmp_path: Path) -> None:
    rows = rows_of(sandbox.target_file, AT_REST, tmp_path / "rows.jsonl")
    said = said_of(diagnose(rows, read_target(str(sandbox.target_file))))
    assert judge(Draw(id="clean"), said).right, [str(item) for item in said]


def test_the_benchmark_knows_every_scenario() -> None:
    from benchmarks.detection.cases import CASES

    named = {
        part
        for path in (CASES, SCENARIOS)
        for draw in read(path)
        for part in (draw.scenario or "").split("+")
    }
    assert named - {""} == set(names()) - {"clean"}
