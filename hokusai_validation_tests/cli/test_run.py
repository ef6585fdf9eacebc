"""`hokusai-validation run` on a target that has nothing but a stub gateway."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from hokusai_sandbox_tests.aids import all_gone, running_below
from hokusai_validation.catalogue import phase_entries
from hokusai_validation.result import Phase, Status, now
from hokusai_validation.runner.rows import unrun
from hokusai_validation.runner.standby import MODULE
from hokusai_validation.store.results import ResultStore, Run, of_run
from hokusai_validation.target import Target
from hokusai_validation_tests.assets.stub import Stub, serving, target_file
from hokusai_validation_tests.cli.typed import typed

SCRIPT = str(Path(sys.executable).with_name("hokusai-validation"))
WAIT_S = 90.0  # a busy machine takes long to start a process


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as server:
        yield server


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HOKUSAI") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return subprocess.Popen(
        [SCRIPT, "run", "stub.toml", *words],
        cwd=folder,
        env={**inherited, "DAGSTER_HOME": str(folder / "home"), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    done = typed(folder, "run", "stub.toml", *words, COLUMNS="200")
    return done.returncode, done.stdout, done.stderr


def wait_for(condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_a_run_says_what_happened_and_where_the_report_is(tmp_path: Path, stub: Stub) -> None:
    target_file(tmp_path, stub.url)
    summary = tmp_path / "summary.md"
    words = ("--phase", "discovery", "--phase", "environment", "--summary", str(summary))
    with start(tmp_path, "--verbose", *words) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 3, err
    assert "Warning" not in err  # neither Dagster's about itself nor a library's
    assert summary.read_text(encoding="utf-8").startswith("### ❔")
    lines = out.splitlines()
    begun = [line.partition(":")[0] for line in lines if line.startswith(("environment:", "discovery:"))]
    assert begun == ["environment", "discovery"]
    assert any("skipped E3" in line for line in lines)
    assert any(line.startswith("INCONCLUSIVE") for line in lines)
    folder = next(line for line in lines if line.startswith("report: ")).removeprefix("report: ")
    assert Path(folder).is_file()
    assert any(line.startswith("time: ") and "environment" in line for line in lines)
    assert "Traceback" not in err


def test_only_what_failed_broke_or_is_missing_is_run_again(tmp_path: Path, stub: Stub) -> None:
    target_file(tmp_path, stub.url)
    store = ResultStore(tmp_path / "results")
    begun = Run(run_id="earlier", target="stub", started_at=now(), asked=tuple(Phase))
    store.begin(begun)
    for phase in Phase:
        bad = {Phase.ENVIRONMENT: Status.FAILED, Phase.CHAOS: Status.BROKEN}.get(phase, Status.PASSED)
        rows = [
            unrun(entry, run_id="earlier", target=Target(name="stub"), status=bad, message="")
            for entry in phase_entries(phase)
        ]
        if phase is not Phase.DISCOVERY:
            store.append("stub", of_run(phase, "earlier", rows))
    status, out, err = run(tmp_path, "--failed", "--no-chaos", "--json")
    assert status == 3, err
    report = json.loads(out)
    asked = {each["phase"] for each in report["provenance"]["phases"] if each["run_id"] == report["run_id"]}
    assert asked == {"environment", "discovery"}
    assert "environment: " in err


def test_another_commit_fails_at_once(tmp_path: Path, stub: Stub) -> None:
    target_file(tmp_path, stub.url)
    status, out, err = run(tmp_path, "--expect-commit", "b" * 40)
    assert status == 1
    assert (
        f"The fix is not deployed on 'stub': running {'a' * 40} since 2026-01-01, expected {'b' * 40}." in err
    )
    assert out == ""
    assert not (tmp_path / "results" / "rows").exists()


def test_results_that_cannot_be_written_are_one_sentence_and_3(tmp_path: Path, stub: Stub) -> None:
    target_file(tmp_path, stub.url)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "runs").write_text("in the way")
    status, _, err = run(tmp_path, "--phase", "discovery")
    assert status == 3
    assert "could not be written" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)],
)
def test_nothing_is_left_running_however_it_ends(tmp_path: Path, stub: Stub, number: signal.Signals) -> None:
    target_file(tmp_path, stub.url)
    children: list[psutil.Process] = []
    process = start(tmp_path, "--phase", "health")

    def suite_runs() -> bool:
        with contextlib.suppress(psutil.Error):
            children.extend(running_below(process.pid, MODULE))
        return bool(children) and bool(stub.paths)

    assert wait_for(suite_runs)
    process.send_signal(number)
    process.communicate(timeout=WAIT_S)
    assert wait_for(lambda: all_gone(children))
    assert process.returncode == (-9 if number is signal.SIGKILL else 130)
    if number is not signal.SIGKILL:
        return
    # the next run works
    status, out, err = run(tmp_path, "--phase", "environment", "--json")
    assert status == 3, err
    assert json.loads(out)["target"] == "stub"
