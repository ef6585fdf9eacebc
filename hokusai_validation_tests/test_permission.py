"""The gate: what a run may do to a target, by the file, by a person, by a standing permission."""

from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest

from hokusai_validation.errors import NotPermitted
from hokusai_validation.permission import Confirmation, Gate, narrowed
from hokusai_validation.result import Phase, Status
from hokusai_validation.store.results import ResultStore
from hokusai_validation.target import LOAD, Target
from hokusai_validation_tests.assets.materializing import materialize
from hokusai_validation_tests.assets.stub import Stub, serving, target_file
from hokusai_validation_tests.cli.typed import typed

TODAY = date(2026, 3, 1)
STANDING = {"job": "light", "kinds": ["load"], "until": "2026-03-01"}
PERMISSIONS = """production = true
[permissions]
faults = ["refuse"]
[permissions.load]
max_rate = 5.0
max_duration_s = 1.0
"""


def target(*, production: bool = True, **permissions: object) -> Target:
    load = {"max_rate": 5, "max_duration_s": 5}
    return Target.model_validate(
        {
            "name": "t",
            "production": production,
            "permissions": {"faults": ["refuse"], "load": load} | permissions,
        }
    )


def confirmation(run_id: str = "run-1", name: str = "t") -> Confirmation:
    return Confirmation(target=name, run_id=run_id, by="me@here", at=datetime(2026, 3, 1, tzinfo=UTC))


def permitted(gate: Gate) -> set[str]:
    return {kind for kind in (LOAD, "refuse", "kill") if gate.refusal(kind) is None}


def test_nothing_is_permitted_by_default() -> None:
    assert permitted(Gate.of(Target(name="t"), "run-1")) == set()


def test_elsewhere_the_file_is_enough() -> None:
    assert permitted(Gate.of(target(production=False), "run-1")) == {LOAD, "refuse"}


def test_on_production_a_person_confirms_a_run_by_its_id() -> None:
    assert permitted(Gate(target())) == set()
    assert permitted(Gate.of(target(), "run-1")) == set()
    assert permitted(Gate.of(target(), "run-1", confirmation=confirmation())) == {LOAD, "refuse"}
    for other in (confirmation("run-2"), confirmation(name="other")):
        assert permitted(Gate.of(target(), "run-1", confirmation=other)) == set()


@pytest.mark.parametrize(
    ("job", "day", "allowed"),
    [
        ("light", TODAY, {LOAD}),
        ("light", date(2026, 3, 2), set()),
        ("validate", TODAY, set()),
        (None, TODAY, set()),
    ],
)
def test_a_standing_permission_is_for_one_job_some_kinds_and_a_time(
    job: str | None, day: date, allowed: set[str]
) -> None:
    gate = Gate.of(target(standing=[STANDING]), "run-1", job=job, today=day)
    assert permitted(gate) == allowed


def test_a_standing_permission_permits_no_more_than_the_file() -> None:
    standing = {**STANDING, "kinds": ["load", "kill"]}
    assert permitted(Gate.of(target(standing=[standing]), "run-1", job="light", today=TODAY)) == {LOAD}


def test_the_refusal_says_how_it_would_be_permitted() -> None:
    gate = Gate.of(target(), "run-1")
    with pytest.raises(NotPermitted, match="hokusai-validation confirm t run-1"):
        gate.check("refuse")
    assert str(gate.unmet(("load",))) == gate.refusal(LOAD)
    assert gate.unmet(("gateway", "instances")) is None


def production_file(folder: Path, stub: Stub) -> Path:
    return target_file(folder, stub.url, PERMISSIONS)


def test_neither_the_suite_nor_an_asset_sends_load_to_production_unconfirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole run: the gate is asked where load is sent, not on one of the ways there."""
    monkeypatch.setenv("HOKUSAI_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("HOKUSAI_CONFIRM", "stub")  # a variable opens nothing
    with serving() as stub, dg.DagsterInstance.ephemeral() as instance:
        source = production_file(tmp_path, stub)
        materialize(source, Phase.LOAD, target="stub", instance=instance)
        rows = ResultStore(tmp_path / "results").rows("stub")
        assert {row.status for row in rows if row.phase is Phase.LOAD} == {Status.SKIPPED}
        assert any("nobody confirmed this run" in row.message for row in rows)
        assert len(stub.paths) < 5


def test_a_run_in_dagsters_ui_is_confirmed_by_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with serving() as stub:
        source = production_file(tmp_path, stub)
    done = typed(tmp_path, "confirm", str(source), "0b6d4c3a-run")
    assert done.returncode == 0, done.stderr
    found = ResultStore("results").confirmation("stub", "0b6d4c3a-run")
    assert found is not None
    assert typed(tmp_path, "confirm", str(source), "../../elsewhere").returncode == 2


def test_the_right_that_an_old_file_loses_is_said_once(tmp_path: Path) -> None:
    old = target()
    note = narrowed(old)
    assert note is not None
    assert "load" in note
    assert narrowed(target(production=False)) is None
    store = ResultStore(tmp_path)
    assert [store.first_time(old.name, "narrowed") for _ in range(3)] == [True, False, False]
    assert store.first_time("another", "narrowed")
