"""Names of what the tests write to a target, so that every run knows its own and a later run can
remove what a killed one left: the prefix says whose it is, the time in the name how old."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from hokusai_validation.resources.mlflow import Mlflow, MlflowRefused, part
from hokusai_validation.store.book import Book

PREFIX = "hokusai-validation-"
OLD = timedelta(hours=1)
_STAMP = "%Y%m%dT%H%M%SZ"
_STAMP_LENGTH = len("20260101T000000Z")
GONE = ("RESOURCE_DOES_NOT_EXIST",)


# Who is told of a name before it is given.
_books: list[Book] = []


@dataclass(frozen=True)
class Thing:
    """A model or an experiment of ours: `id` is what MLflow knows it by, `call` and `body` remove it."""

    kind: str
    name: str
    id: str
    call: tuple[str, str]
    body: dict[str, str]


@contextmanager
def noted_in(book: Book) -> Iterator[None]:
    """In the block every new name of ours stands in the book before it is used."""
    _books.append(book)
    try:
        yield
    finally:
        _books.remove(book)


def owned_name(at: datetime, what: str = "") -> str:
    """A new name of ours: `hokusai-validation-20260101T000000Z-1a2b3c4d`, `what` behind it."""
    tail = f"-{what}" if what else ""
    name = f"{PREFIX}{at.astimezone(UTC).strftime(_STAMP)}-{secrets.token_hex(4)}{tail}"
    for book in _books:
        book.note(name)
    return name


def made_at(name: str) -> datetime | None:
    """When a name of ours was made; None for any other name."""
    if not name.startswith(PREFIX):
        return None
    try:
        stamp = name.removeprefix(PREFIX)[:_STAMP_LENGTH]
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def left_over(name: str, now: datetime) -> bool:
    """Whether a name is ours and older than any run can be."""
    made = made_at(name)
    return made is not None and now - made > OLD


def remove_leftovers(mlflow: Mlflow, now: datetime) -> tuple[str, ...]:
    """Remove the models and experiments (with runs and artifacts) that killed runs left, and give
    their names. Nothing younger than an hour, and nothing of anybody else, is touched.

    Raises MlflowRefused and the leaves of RequestFailed."""
    return remove(mlflow, lambda name: left_over(name, now))


def remove(mlflow: Mlflow, ours: Callable[[str], bool]) -> tuple[str, ...]:
    """Remove the models and experiments whose names fit; give the names.

    Raises MlflowRefused and the leaves of RequestFailed."""
    removed = []
    for thing in remaining_things(mlflow, ours):
        remove_thing(mlflow, thing)
        removed.append(thing.name)
    return tuple(removed)


def remove_thing(mlflow: Mlflow, thing: Thing) -> None:
    """Remove one.

    Raises MlflowRefused and the leaves of RequestFailed."""
    if thing.kind == "model":
        _unless_gone(partial(mlflow.delete_model, thing.id))
    else:
        remove_experiment(mlflow, thing.id)


def remove_experiment(mlflow: Mlflow, experiment_id: str) -> None:
    """An experiment's artifacts, runs and itself. (MLflow keeps deleted runs and experiments in its
    database until its own `gc` removes them.)"""
    for run in list(mlflow.search_runs(experiment_id)):
        run_id = str(part(run, "info", "run_id"))
        _unless_gone(partial(mlflow.delete_artifact, f"{experiment_id}/{run_id}/artifacts"))
        _unless_gone(partial(mlflow.delete_run, run_id))
    _unless_gone(partial(mlflow.delete_experiment, experiment_id))


def remaining(mlflow: Mlflow, ours: Callable[[str], bool]) -> tuple[str, ...]:
    """Names that fit and are still there."""
    return tuple(thing.name for thing in remaining_things(mlflow, ours))


def remaining_things(mlflow: Mlflow, ours: Callable[[str], bool]) -> tuple[Thing, ...]:
    """The same as things, models first.

    Raises MlflowRefused and the leaves of RequestFailed."""
    pattern = f"name LIKE '{PREFIX}%'"
    found = []
    for model in mlflow.search_models(pattern):
        name = str(part(model, "name"))
        found.append(Thing("model", name, name, ("DELETE", "/registered-models/delete"), {"name": name}))
    for experiment in mlflow.search_experiments(pattern):
        name, number = str(part(experiment, "name")), str(part(experiment, "experiment_id"))
        call = ("POST", "/experiments/delete")
        found.append(Thing("experiment", name, number, call, {"experiment_id": number}))
    return tuple(thing for thing in found if ours(thing.name))


def _unless_gone(act: Callable[[], None]) -> None:
    try:
        act()
    except MlflowRefused as error:
        if error.status != 404 and error.code not in GONE:
            raise
