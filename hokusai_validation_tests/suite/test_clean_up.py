"""What the tests wrote is removed by every way that is known, also behind a killed run, and what stays is told."""

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hokusai_validation.diagnosis.left_behind import (
    KILLED_RUN,
    LEFT_BEHIND,
    left_behind,
    named_before,
    of_a_killed_run,
    still_there,
)
from hokusai_validation.probes import clean_up
from hokusai_validation.probes.clean_up import clear
from hokusai_validation.probes.ownership import noted_in, owned_name
from hokusai_validation.resources import hanging, own_faults
from hokusai_validation.resources.places import address
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.store import locks
from hokusai_validation.store.book import Book
from hokusai_validation.target import Endpoints, Instance, Mlflow, Target
from hokusai_validation_tests.hostile.test_mlflow_client import Answer, Registry, serving
from hokusai_validation_tests.suite_plugin.running import run_suite

GATEWAY = "/api/mlflow"


class Store:
    """Experiments and models that several addresses lead to."""

    def __init__(self, *names: str) -> None:
        self.models = list(names)
        self.experiments = {str(number): name for number, name in enumerate(names, 1)}

    @property
    def empty(self) -> bool:
        return not self.models and not self.experiments


class Way(Registry):
    """An address that leads there; `broken` ways answer 500 to what they name."""

    def __init__(self, store: Store, broken: str = "") -> None:
        super().__init__()
        self.store, self.broken = store, broken

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        route = path.partition("?")[0].removeprefix(GATEWAY).removeprefix("/api/2.0/mlflow")
        self.asked.append(f"{method} {route}")
        if self.broken and self.broken in route:
            return 500, {}, b"broken"
        given = json.loads(body) if body else {}
        if route == "/registered-models/search":
            return self.json({"registered_models": [{"name": name} for name in self.store.models]})
        if route == "/experiments/search":
            found = [{"name": name, "experiment_id": each} for each, name in self.store.experiments.items()]
            return self.json({"experiments": found})
        if route == "/registered-models/delete":
            self.store.models.remove(given["name"])
        if route == "/experiments/delete":
            del self.store.experiments[given["experiment_id"]]
        return self.json({})


def target_of(gateway: Registry | None, direct: Registry | None, *instances: Registry) -> Target:
    return Target(
        name="stub",
        endpoints=Endpoints(registry=None if gateway is None else gateway.url),
        mlflow=Mlflow(url=None if direct is None else direct.url),
        instances=tuple(Instance(name=f"api-{n}", url=each.url) for n, each in enumerate(instances, 1)),
    )


def cleared(target: Target, *names: str) -> tuple[str, ...]:
    left = clear(target, Secrets(target), lambda name: name.startswith(names), names)
    return tuple(f"{each.what}: {each.command}" for each in left)


@pytest.mark.parametrize("broken", ["delete", "search", "/"])
def test_a_broken_gateway_is_gone_around(broken: str) -> None:
    name = owned_name(datetime.now(UTC))
    store = Store(name, f"{name}-model-2")
    with serving(Way(store, broken)) as gateway, serving(Way(store)) as direct:
        assert cleared(target_of(gateway, direct), name) == ()
    assert store.empty


def test_a_broken_address_and_gateway_are_gone_around_by_an_instance() -> None:
    name = owned_name(datetime.now(UTC))
    store = Store(name)
    with (
        serving(Way(store, "/")) as gateway,
        serving(Way(store, "delete")) as direct,
        serving(Way(store)) as one,
    ):
        assert cleared(target_of(gateway, direct, one), name) == ()
    assert store.empty


def test_one_that_can_not_be_removed_holds_up_no_other_and_is_told_with_its_command() -> None:
    name = owned_name(datetime.now(UTC))
    store = Store(name, "theirs")
    with serving(Way(store, "experiments/delete")) as gateway:
        (left,) = cleared(target_of(gateway, None), name)
        assert left.startswith(f"experiment {name}: curl -fsS -X POST {gateway.url}{GATEWAY}/api/2.0/mlflow/")
    assert "authorization: Bearer $KEY" in left
    assert store.models == ["theirs"]
    assert sorted(store.experiments.values()) == sorted([name, "theirs"])


def test_where_nobody_answers_the_names_are_told() -> None:
    name = owned_name(datetime.now(UTC))
    with serving(Way(Store(name), "/")) as gateway:
        (left,) = cleared(target_of(gateway, None), name)
    assert left.startswith(f"{name}: curl")


@contextmanager
def killed(target: Target, names: list[str], test: str) -> Iterator[None]:
    """A process that gives names and runs a test, and is killed in the middle of it."""
    ready = multiprocessing.get_context("fork").Event()
    child = os.fork()
    if child == 0:
        book = Book(target)
        for name in names:
            book.note(name)
        with book.under_way("an earlier one"):
            pass
        with book.under_way(test):
            ready.set()
            signal.pause()
    assert ready.wait(10)
    living = Book(target).take_over()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert not living, "the book of a process that lives is its own"
    yield


def test_a_killed_process_is_found_by_the_next_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BASE", tmp_path)
    target, other = Target(name="one"), Target(name="two")
    with killed(target, ["a", "b"], "Test::opens"):
        assert not Book(other).take_over()
        book = Book(target)
        found = book.take_over()
        assert (found.names, found.tests) == (("a", "b"), ("Test::opens",))
        assert book.names == ("a", "b")
        assert not Book(target).take_over()
        book.close()  # they could not be removed: the next one knows of them still
        again = Book(target)
        assert again.take_over().names == ("a", "b")
        again.all_gone()
        again.close()
        assert not Book(target).take_over()


def test_names_are_in_the_book_before_they_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BASE", tmp_path)
    book = Book(Target(name="one"))
    with noted_in(book):
        name = owned_name(datetime.now(UTC))
    owned_name(datetime.now(UTC))
    assert book.names == (name,)
    (file,) = tmp_path.rglob("*.under-way")
    assert name in file.read_text()
    book.all_gone()
    book.close()
    assert not list(tmp_path.rglob("*.under-way"))


TEST = """
from datetime import datetime, UTC
from hokusai_validation.probes.ownership import owned_name

class TestMLflowCircuitBreaker:
    def test_initial_state(self):
        owned_name(datetime.now(UTC))

    def test_basic_failure_tracking(self):
        pass
"""


def test_a_suite_says_what_a_killed_one_left_and_what_it_leaves_itself(tmp_path: Path) -> None:
    left = owned_name(datetime.now(UTC))
    store = Store(left)
    with serving(Way(store)) as good, serving(Way(store, "/")) as gone:
        for registry in (good, gone):
            folder = tmp_path / ("good" if registry is good else "gone")
            folder.mkdir()
            text = f'name = "stub"\n[breaker]\npath = "nothing:Nothing"\n[mlflow]\nurl = "{registry.url}"\n'
            target = Target(name="stub", mlflow=Mlflow(url=registry.url))
            with killed(target, [left], "TestX::test_y"):
                ran = run_suite(folder, {"test_file.py": TEST}, "--category=unit", target=text)
            (first,) = ran.of("test_initial_state")
            assert first.evidence[KILLED_RUN] == {
                "names": [left],
                "tests": ["TestX::test_y"],
                "settled": True,
            }
            told = of_a_killed_run(ran.rows)
            assert told.startswith(
                "A run that was killed had left the target as TestX::test_y had changed it;"
            )
            assert "under 1 name that it gave" in named_before(ran.rows)
            told = still_there(ran.rows)
            if registry is good:
                assert store.empty
                assert told == ""
                assert left_behind(ran.rows) == ()
            else:
                assert LEFT_BEHIND in ran.of("test_basic_failure_tracking")[-1].evidence
                assert told == "2 things of ours may be in the target: nobody could look"
                for each in left_behind(ran.rows):
                    assert not each.seen
                    assert each.what.startswith("hokusai-validation-")
                    assert each.command.startswith("curl ")
        Book(target).take_over()  # what the last one could not remove is nobody's any more
    assert all(row.status.value in ("passed", "skipped", "broken") for row in ran.rows)


def test_what_a_process_of_the_same_run_left_is_taken_over_and_is_no_killed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BASE", tmp_path)
    target = Target(name="one")
    first, second = Book(target, "run-1"), Book(target, "run-1")
    first.note("a")
    first.close()
    assert not second.take_over()
    assert second.names == ("a",)
    second.close()
    assert Book(target, "run-2").take_over().names == ("a",)


def test_a_way_that_led_nowhere_is_not_gone_again_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_faults, "_ended_at", None)  # else faults of tests before would count
    name = owned_name(datetime.now(UTC))
    store = Store(name)
    broken = Way(store, "/")
    with serving(broken) as gateway, serving(Way(store, "/")) as direct:
        target = target_of(gateway, direct)
        assert cleared(target, name)
        asked = [list(each.asked) for each in (gateway, direct)]
        broken.broken = ""
        assert cleared(target, name)
        assert [gateway.asked, direct.asked] == asked
        monkeypatch.setattr(clean_up._no_way, "for_s", 0.0)
        assert cleared(target, name) == ()
        store.models.append(name)
        monkeypatch.undo()
        assert cleared(target, name) == ()  # it leads there again
    assert store.empty


def test_nobody_goes_where_a_test_got_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    name = owned_name(datetime.now(UTC))
    store = Store(name)
    with serving(Way(store)) as gateway, serving(Way(store)) as direct:
        monkeypatch.setattr(hanging, "_silent", {address(direct.url): {"mlflow.version": 0.0}})
        assert cleared(target_of(gateway, direct), name) == ()
        assert not direct.asked
    assert store.empty
