"""What is ours is known by its name, and nothing else is ever removed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.probes.ownership import (
    OLD,
    PREFIX,
    left_over,
    made_at,
    owned_name,
    remaining,
    remove,
    remove_leftovers,
)
from hokusai_validation.resources.http import Answer
from hokusai_validation.resources.mlflow import MlflowRefused

MOMENTS = st.integers(946_684_800, 32_503_680_000).map(lambda second: datetime.fromtimestamp(second, UTC))
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@given(MOMENTS, st.sampled_from(["", "x"]))
def test_name_says_when_it_was_made(at: datetime, what: str) -> None:
    name = owned_name(at, what)
    assert name.startswith(PREFIX)
    assert made_at(name) == at
    assert owned_name(at, what) != name


@given(st.text())
def test_other_names_are_never_left_over(name: str) -> None:
    assert not left_over(name, NOW)
    assert not left_over(f"{PREFIX}{name}", datetime(1999, 1, 1, tzinfo=UTC))


def test_an_hour_makes_the_difference() -> None:
    name = owned_name(NOW)
    assert not left_over(name, NOW)
    assert not left_over(name, NOW + OLD)
    assert left_over(name, NOW + OLD + timedelta(seconds=1))
    assert not left_over(name.removeprefix("hokusai-"), NOW + timedelta(days=9))


class Registry:
    """What `remove` asks of MLflow, in memory. `vanished` names are listed and gone when deleted."""

    def __init__(self, *names: str, vanished: tuple[str, ...] = ()) -> None:
        self.models, self.experiments = list(names), list(names)
        self.vanished = vanished
        self.deleted: list[str] = []

    def search_models(self, pattern: str) -> Iterator[dict[str, Any]]:
        yield from ({"name": name} for name in self.models)

    def search_experiments(self, pattern: str) -> Iterator[dict[str, Any]]:
        yield from ({"name": name, "experiment_id": name} for name in self.experiments)

    def search_runs(self, experiment_id: str) -> Iterator[dict[str, Any]]:
        yield {"info": {"run_id": f"run-{experiment_id}"}}

    def delete_model(self, name: str) -> None:
        if name in self.vanished:
            self._refuse(404)
        self.models.remove(name)

    def delete_experiment(self, name: str) -> None:
        self.experiments.remove(name)

    def delete_run(self, run_id: str) -> None:
        self.deleted.append(run_id)

    def delete_artifact(self, path: str) -> None:
        if "forbidden" in path:
            self._refuse(403)
        self.deleted.append(path)

    def _refuse(self, status: int) -> None:
        raise MlflowRefused("refused", status, "", Answer("DELETE", "http://h/", status, {}, b"", 1.0))


def test_leftovers_go_with_their_runs_and_artifacts_and_nothing_else_does() -> None:
    old, young, foreign = owned_name(NOW - 2 * OLD), owned_name(NOW), "their-model"
    registry = Registry(old, young, foreign)
    assert remove_leftovers(registry, NOW) == (old, old)  # type: ignore[arg-type]
    assert registry.models == registry.experiments == [young, foreign]
    assert registry.deleted == [f"{old}/run-{old}/artifacts", f"run-{old}"]
    assert remaining(registry, lambda name: name == old) == ()  # type: ignore[arg-type]


def test_what_is_gone_already_is_no_error() -> None:
    name = owned_name(NOW)
    registry = Registry(name, vanished=(name,))
    remove(registry, lambda found: found == name)  # type: ignore[arg-type]
    assert registry.experiments == []


def test_a_refused_clean_up_is_said() -> None:
    with pytest.raises(MlflowRefused):
        remove(Registry(f"{PREFIX}forbidden"), lambda name: True)  # type: ignore[arg-type]
