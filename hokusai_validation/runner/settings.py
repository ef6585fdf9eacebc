"""What a suite process was asked to do: from pytest's options, or from Dagster's Pipes context where
a phase started it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from hokusai_validation.permission import Gate
from hokusai_validation.result import Category, Phase
from hokusai_validation.runner.pipes import Known, Pipes, open_pipes
from hokusai_validation.runner.selection import Selection
from hokusai_validation.store.record import Record, place
from hokusai_validation.target import Target, read_target


def add_options(parser: pytest.Parser) -> None:
    """The suite's own command line options."""
    group = parser.getgroup("hokusai", "Hokusai validation")
    group.addoption("--target", default="sandbox", metavar="NAME_OR_PATH", help="what to validate")
    group.addoption(
        "--category",
        action="append",
        default=[],
        choices=[each.value for each in Category],
        help="only this category (may be given several times)",
    )
    group.addoption(
        "--phase",
        action="append",
        default=[],
        choices=[each.value for each in Phase],
        help="only this phase (may be given several times)",
    )
    group.addoption("--critical-only", action="store_true", help="only critical tests")
    group.addoption(
        "--rows",
        action="append",
        default=[],
        metavar="FILE",
        help="append a JSON line a test to FILE, or an object a test to s3://BUCKET/FOLDER",
    )
    group.addoption(
        "--processes", type=int, default=0, metavar="N", help="test processes for the tests that only read"
    )
    group.addoption("--run-id", default=None, help="the run that the rows belong to")


@dataclass(frozen=True)
class Settings:
    """Of one suite process: `records` are where it keeps the rows of the tests that it runs; `processes`
    how many test processes it has for those that only read."""

    target: Target
    run_id: str
    selection: Selection
    gate: Gate
    records: tuple[Record, ...] = ()
    pipes: Pipes | None = None
    processes: int = 0
    known: Known = field(default_factory=Known)


def read_settings(config: pytest.Config) -> Settings:
    """Settings of this process.

    Raises TargetNotFound, TargetInvalid, UsageError."""
    options = config.option
    selection = Selection(
        categories=tuple(Category(each) for each in options.category),
        phases=tuple(Phase(each) for each in options.phase),
        critical_only=options.critical_only,
    )
    records, processes = open_records(config), options.processes
    pipes = open_pipes()
    if pipes is not None:
        return Settings(
            pipes.target,
            pipes.run_id,
            selection,
            _gate(pipes.extras),
            records,
            pipes,
            processes,
            Known.given(pipes.extras),
        )
    run_id = options.run_id or f"local-{uuid.uuid4()}"
    target = read_target(options.target)
    return Settings(target, run_id, selection, gate_of(target, run_id), records, None, processes)


def open_records(config: pytest.Config) -> tuple[Record, ...]:
    """Where rows are kept, opened for this process.

    Raises UsageError."""
    return tuple(Record(place(each)) for each in config.option.rows)


def gate_of(target: Target, run_id: str) -> Gate:
    """The gate of a run without Dagster: by what a person confirmed, where that is needed."""
    if not target.production:
        return Gate(target, run_id=run_id)
    from hokusai_validation.store.results import ResultStore
    from hokusai_validation.store.storage import default_base, default_options

    store = ResultStore(default_base(), default_options())
    return Gate.of(target, run_id, confirmation=store.confirmation(target.name, run_id))


def _gate(given: Mapping[str, Any]) -> Gate:
    target = Target.model_validate(given["target"])
    return Gate(target, frozenset(given.get("granted", ())), given["run_id"])
