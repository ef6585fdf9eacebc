"""A whole Dagster run against a stub: rows, checks, frames, verdict, documents, and reading back."""

import json
import os
import random
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster._core.execution.plan.objects import StepFailureData

from hokusai_sandbox_tests.aids import kill_below
from hokusai_validation.assets import progress
from hokusai_validation.assets.anchors import anchors
from hokusai_validation.assets.checks import check_name
from hokusai_validation.catalogue import entries, phase_entries
from hokusai_validation.phase_rows import TroubleKind
from hokusai_validation.report import Report
from hokusai_validation.reporting import manifest
from hokusai_validation.resources.injected import GatewayResource, KeyResource
from hokusai_validation.result import Phase, Status, final_attempts
from hokusai_validation.runner import process
from hokusai_validation.runner.standby import MODULE
from hokusai_validation.store.results import ResultStore
from hokusai_validation_tests.assets.materializing import materialize as materialize_of
from hokusai_validation_tests.assets.stub import Stub, serving, target_file

SECRET = "hk_test_0123456789abcdef"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOKUSAI_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    return tmp_path / "results"


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as server:
        yield server


materialize = partial(materialize_of, target="stub")


def test_a_phase_gives_rows_checks_numbers_and_documents(tmp_path: Path, results: Path, stub: Stub) -> None:
    source = target_file(tmp_path, stub.url)
    told: list[progress.Event] = []
    with dg.DagsterInstance.ephemeral() as instance, progress.listening(told.append):
        result = materialize(source, Phase.HEALTH, instance=instance)
        evaluations = {each.check_name: each for each in result.get_asset_check_evaluations()}
        materializations = {
            event.asset_key.path[-1]: event.step_materialization_data.materialization.metadata
            for event in result.get_asset_materialization_events()
            if event.asset_key
        }
    # a failing target makes checks red, not assets; only the verdict fails the run
    assert set(materializations) == {"health", "aggregate", "report"}
    assert not result.success
    verdict = evaluations["verdict"]
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.ERROR)
    # and it is said without a stack: nothing of ours is broken
    failed = [event.event_specific_data for event in result.all_events if event.is_step_failure]
    (said,) = [each.error for each in failed if isinstance(each, StepFailureData)]
    assert said is not None
    assert said.stack == []
    assert said.message.startswith("stub is unhealthy: ")
    # rows and checks
    store = ResultStore(results)
    rows = store.rows("stub")
    assert {row.test for row in rows} == {entry.test for entry in phase_entries(Phase.HEALTH)}
    last = {row.id: row for row in final_attempts(rows)}
    entry_of = {check_name(entry): entry for entry in phase_entries(Phase.HEALTH)}
    assert last["I10"].status in (Status.PASSED, Status.FAILED)
    for name, evaluation in evaluations.items():
        if name in entry_of:
            assert evaluation.passed == (last[entry_of[name].id].status is Status.PASSED)
    assert evaluations["I01_test_health_check_all_services_healthy"].severity is dg.AssetCheckSeverity.ERROR
    skipped = next(row for row in last.values() if row.status is Status.SKIPPED)
    of_skipped = next(name for name, entry in entry_of.items() if entry.id == skipped.id)
    assert not evaluations[of_skipped].passed
    # numbers that the UI plots, and a list of what failed
    health = materializations["health"]
    assert health["failed"].value == sum(row.status is Status.FAILED for row in last.values())
    assert isinstance(health["test_success"].value, float)
    assert "- **I1** " in str(health["failures"].value)
    # documents
    folder = results / "reports" / "stub" / result.run_id
    assert (results / "reports" / "stub" / "latest").resolve() == folder
    report = json.loads((folder / "report.json").read_text())
    assert report["verdict"] == "unhealthy"
    assert report["counts"]["catalogue"]["total"] == 67
    assert len({row["test"] for row in report["results"]}) == len(entries())
    for name in ("report.html", "health_report.md", "junit.xml", "test_results.csv", "test_results.parquet"):
        assert (folder / name).stat().st_size > 0
    frame = pd.read_parquet(folder / "test_results.parquet")
    assert set(frame["test"]) == {entry.test for entry in entries()}
    # what a watcher saw: the phase, then its rows one by one, then the end
    health_events = [event for event in told if event.step == "health"]
    assert health_events[0].begun
    assert health_events[-1].seconds is not None
    assert sum(event.row is not None for event in health_events) == len(rows)


def test_another_phase_is_read_back_with_its_own_run(tmp_path: Path, results: Path, stub: Stub) -> None:
    source = target_file(tmp_path, stub.url)
    with dg.DagsterInstance.ephemeral() as instance:
        first = materialize(source, Phase.ENVIRONMENT, instance=instance)
        second = materialize(source, Phase.DISCOVERY, instance=instance)
        known = anchors(instance, "stub")
    assert (known.newest, set(known.hashes)) == (second.run_id, {first.run_id, second.run_id})
    chain = manifest.chain(results / "reports" / "stub", anchors=known)
    assert [(link.folder.name, link.problems) for link in chain] == [(second.run_id, ()), (first.run_id, ())]
    report = json.loads((results / "reports" / "stub" / second.run_id / "report.json").read_text())
    sources = {each["phase"]: each["run_id"] for each in report["provenance"]["phases"]}
    assert sources["environment"] == first.run_id
    assert sources["discovery"] == second.run_id
    assert sources["chaos"] is None
    assert {row["message"] for row in report["results"] if row["phase"] == "chaos"} == {"not selected"}
    assert {row["run_id"] for row in report["results"] if row["phase"] == "environment"} == {first.run_id}


def test_an_injected_resource_changes_what_the_tests_talk_to(
    tmp_path: Path, results: Path, stub: Stub
) -> None:
    source = target_file(tmp_path, stub.url)
    with serving() as other, dg.DagsterInstance.ephemeral() as instance:
        materialize(
            source,
            Phase.HEALTH,
            instance=instance,
            gateway=GatewayResource(registry=other.url),
            key=KeyResource(good=SECRET),
        )
        assert "/health" in other.paths
        assert stub.paths == []
    written = [path for path in results.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


def test_a_killed_suite_process_costs_no_row_that_was_sent(tmp_path: Path, results: Path, stub: Stub) -> None:
    source = target_file(tmp_path, stub.url)

    killed: list[str] = []

    def kill(path: str) -> None:
        """Behind the first rows: every process of the suite at once."""
        if not killed and any(record.stat().st_size for record in results.rglob("health.jsonl")):
            killed.append(path)
            kill_below(os.getpid(), MODULE)

    stub.on_request = kill
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(source, Phase.HEALTH, instance=instance)
    assert "report" in {
        event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key
    }
    rows = {row.id: row for row in final_attempts(ResultStore(results).rows("stub"))}
    lost = [row for row in rows.values() if row.message.startswith("never reported")]
    assert set(rows) == {entry.id for entry in phase_entries(Phase.HEALTH)}
    assert lost
    assert len(lost) < len(rows)
    assert {row.status for row in lost} == {Status.BROKEN}
    assert all("ended by SIGKILL" in row.message for row in lost)


DAMAGING = """
import os, random, runpy, sys
import dagster_pipes

dice = random.Random(sys.argv.pop(1))

def write_message(self, message):
    line = (dagster_pipes.json.dumps(message) + "\\n").encode()
    cut = line[: dice.randrange(len(line))]
    with open(self._path, "ab") as file:
        file.write({0: cut, 1: cut + line, 2: b"", 3: line + line}[dice.randrange(4)])

dagster_pipes.PipesFileMessageWriterChannel.write_message = write_message
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def test_messages_that_are_cut_lost_or_doubled_cost_no_row(
    tmp_path: Path, results: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = target_file(tmp_path, stub.url)
    command = process.command
    seed = f"{random.randrange(2**32)}"  # drawn after the session's own, which pytest prints
    monkeypatch.setattr(
        process, "command", lambda *given: [sys.executable, "-c", DAMAGING, seed, *command(*given)[2:]]
    )
    told: list[progress.Event] = []
    with dg.DagsterInstance.ephemeral() as instance, progress.listening(told.append):
        run = materialize(source, Phase.HEALTH, instance=instance)
    failures = {event.step_key: event for event in run.all_events if event.is_step_failure}
    assert set(failures) <= {"stub__report_verdict"}, failures
    report: Report = run.asset_value(dg.AssetKey(["stub", "aggregate"]))
    rows = [row for row in report.results if row.phase is Phase.HEALTH]
    assert {row.test for row in rows} == {entry.test for entry in phase_entries(Phase.HEALTH)}
    assert not [row.test for row in rows if "never reported" in row.message]
    # whoever watched has seen every row once, some of them late, and the report says so
    seen = [(event.row.test, event.row.attempt) for event in told if event.row is not None]
    assert sorted(seen) == sorted((row.test, row.attempt) for row in rows)
    (source_of,) = [each for each in report.provenance.phases if each.phase == Phase.HEALTH]
    assert {trouble.kind for trouble in source_of.troubles} == {TroubleKind.PROGRESS_LOST}


def test_a_process_that_cannot_start_fails_the_asset_with_one_sentence(
    tmp_path: Path, results: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = target_file(tmp_path, stub.url)
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(source, Phase.HEALTH, instance=instance)
    failures = [event for event in result.all_events if event.is_step_failure]
    assert "The suite process could not start" in failures[0].event_specific_data.error.to_string()  # type: ignore[union-attr]
