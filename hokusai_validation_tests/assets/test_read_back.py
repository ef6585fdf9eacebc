"""Rows of another stack under the same name are not read back; of another target they are, and said."""

from pathlib import Path

import pytest

from hokusai_validation.assets.read_back import of_this_stack
from hokusai_validation.catalogue import phase_entries
from hokusai_validation.diagnosis import PhaseRows
from hokusai_validation.effective import EffectiveTarget, Identity, Snapshot
from hokusai_validation.result import Phase, Status
from hokusai_validation.runner.rows import unrun
from hokusai_validation.store.results import ResultStore
from hokusai_validation.target import Target

GIVEN: dict[str, object] = {
    "name": "t",
    "endpoints": {"registry": "https://one.test", "api": "https://api.one.test"},
    "aws": {"cluster": "c", "account_id": "111111111111"},
    "stack_id": "first",
}


def target(**changes: object) -> EffectiveTarget:
    return EffectiveTarget(target=Target.model_validate({**GIVEN, **changes}))


def rows(phase: Phase, run_id: str) -> PhaseRows:
    made = tuple(
        unrun(entry, run_id=run_id, target=Target(name="t"), status=Status.PASSED, message="")
        for entry in phase_entries(phase)
    )
    return PhaseRows(phase=phase, run_id=run_id, results=made)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path)


PHASES = (rows(Phase.ENVIRONMENT, "before"), rows(Phase.HEALTH, "now"))


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoints": {"registry": "https://two.test", "api": "https://api.one.test"}},
        {
            "endpoints": {
                "registry": "https://one.test",
                "api": "https://api.one.test",
                "auth": "https://a.test",
            }
        },
        {"aws": {"cluster": "d", "account_id": "111111111111"}},
        {"aws": {"cluster": "c", "account_id": "222222222222"}},
        {"aws": {"cluster": "c", "account_id": "111111111111", "region": "eu-west-1"}},
        {"stack_id": "second"},
    ],
)
def test_rows_of_another_stack_are_left_out(store: ResultStore, changes: dict[str, object]) -> None:
    store.keep_target("t", Snapshot.of(target(**changes), "before"))
    kept, evidence = of_this_stack(PHASES, target(), "now", store)
    assert [(each.phase, each.run_id, each.asked) for each in kept] == [
        (Phase.ENVIRONMENT, None, False),
        (Phase.HEALTH, "now", True),
    ]
    assert kept[0].results == ()
    assert "environment (run before: of another stack" in evidence["rows_left_out"]


def test_rows_of_a_run_that_kept_no_target_are_left_out(store: ResultStore) -> None:
    kept, evidence = of_this_stack(PHASES, target(), "now", store)
    assert kept[0].run_id is None
    assert "not on record" in evidence["rows_left_out"]


def test_rows_of_the_same_stack_count_and_a_changed_file_is_said(store: ResultStore) -> None:
    before = target(limits={"recovery_s": 5})
    store.keep_target("t", Snapshot.of(before, "before"))
    kept, evidence = of_this_stack(PHASES, target(), "now", store)
    assert kept[0].results == PHASES[0].results
    assert [each.target_hash for each in kept] == [before.hash, target().hash]
    assert "environment (run before: target " in evidence["phases_of_another_target"]
    store.keep_target("t", Snapshot.of(target(), "before"))
    _, evidence = of_this_stack(PHASES, target(), "now", store)
    assert evidence == {"target": target().hash}


def test_a_stack_without_endpoints_is_known_by_its_parts() -> None:
    one = Target.model_validate({"name": "t", "mlflow": {"url": "http://a.test"}})
    two = Target.model_validate({"name": "t", "mlflow": {"url": "http://b.test"}})
    assert Identity.of(one) != Identity.of(two)
    assert Identity.of(one).differences(Identity.of(two)) == ("parts",)
