"""How long ago a fault of ours was taken off a part itself."""

import pytest

from hokusai_validation.resources import own_faults


@pytest.fixture(autouse=True)
def _nothing_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_faults, "_taken_off_at", {})


def test_a_fault_on_the_way_to_a_part_is_none_at_the_part() -> None:
    with own_faults.on("refuse:api-1->mlflow"):
        assert own_faults.since_at_s("mlflow") == float("inf")
    assert own_faults.since_at_s("mlflow") == float("inf")


def test_a_fault_at_a_part_counts_from_its_end() -> None:
    with own_faults.on("kill:mlflow"), own_faults.on("kill:mlflow"):
        assert own_faults.since_at_s("mlflow") == 0.0
        assert own_faults.since_at_s("redis") == float("inf")
    assert 0.0 <= own_faults.since_at_s("mlflow") < float("inf")
