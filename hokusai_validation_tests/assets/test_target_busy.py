"""A run that finds its target held ends `target busy`, names the holder, asks nothing and leaves no rows,
however it was started."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from hokusai_validation.result import Phase
from hokusai_validation.store import locks
from hokusai_validation.store.results import ResultStore
from hokusai_validation_tests.assets.materializing import materialize
from hokusai_validation_tests.assets.stub import Stub, serving, target_file
from hokusai_validation_tests.cli.typed import typed

HOLD = """
import sys
from hokusai_validation.store.lock import target_lock
from hokusai_validation.target import read_target

with target_lock(read_target(sys.argv[1]), sys.argv[2], what="somebody's run"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as server:
        yield server


@contextmanager
def held(source: Path, results: Path) -> Iterator[int]:
    """The target is locked by a process of its own; which."""
    without = {name: value for name, value in os.environ.items() if name != locks.VARIABLE}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(source), str(results)],
        env=without,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder.pid


def nothing_happened(store: ResultStore, stub: Stub) -> bool:
    return stub.paths == [] and store.rows("stub") == () and not (store.reports / "stub" / "latest").exists()


def test_a_run_of_dagster(tmp_path: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOKUSAI_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv(locks.VARIABLE, raising=False)
    source = target_file(tmp_path, stub.url)
    with held(source, tmp_path / "results") as holder, dg.DagsterInstance.ephemeral() as instance:
        result = materialize(source, Phase.HEALTH, target="stub", instance=instance)
        assert not result.success
        told = " ".join(str(event.message) + str(event.event_specific_data) for event in result.all_events)
        assert f"is in use by another run by process {holder} (somebody's run" in told
    assert nothing_happened(ResultStore(tmp_path / "results"), stub)


def test_a_run_of_the_command_line(tmp_path: Path, stub: Stub) -> None:
    source = target_file(tmp_path, stub.url)
    with held(source, tmp_path / "results") as holder:
        done = typed(tmp_path, "run", str(source), "--phase", "health")
    assert done.returncode == 3
    assert (
        f"Target 'stub' is in use by another run by process {holder} (somebody's run, since 20" in done.stderr
    )
    assert nothing_happened(ResultStore(tmp_path / "results"), stub)
