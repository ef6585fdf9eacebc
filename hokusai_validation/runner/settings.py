"""What a suite process was asked to do: from pytest's options, from Dagster's Pipes context where
a phase started it, or from the controller where it is one of several test processes."""

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hokusai_validation.permission import Gate
from hokusai_validation.result import Category, Phase
from hokusai_validation.runner.rows import Sink, file_sink, pipes_sink
from hokusai_validation.runner.selection import Selection
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
        "--rows", action="append", default=[], metavar="FILE", help="append a JSON line a test to FILE"
    )
    group.addoption("--run-id", default=None, help="the run that the rows belong to")


@dataclass(frozen=True)
class Settings:
    """Of one suite process. `sinks` is empty in the worker processes of a parallel run."""

    target: Target
    run_id: str
    selection: Selection
    gate: Gate
    sinks: tuple[Sink, ...] = ()
    lock_file: Path | None = None
    closing: tuple[Any, ...] = field(default=())

    def for_worker(self, lock_file: Path) -> str:
        """What a worker process needs to know, as JSON (no secret is in it)."""
        return json.dumps(
            {
                "target": self.target.model_dump(mode="json"),
                "run_id": self.run_id,
                **gate_extras(self.gate),
                "lock_file": str(lock_file),
            }
        )


def read_settings(config: pytest.Config) -> Settings:
    """Settings of this process.

    Raises TargetNotFound, TargetInvalid, UsageError."""
    options = config.option
    selection = Selection(
        categories=tuple(Category(each) for each in options.category),
        phases=tuple(Phase(each) for each in options.phase),
        critical_only=options.critical_only,
    )
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        given = json.loads(worker["hokusai"])
        return Settings(
            target=Target.model_validate(given["target"]),
            run_id=given["run_id"],
            selection=selection,
            gate=_gate(given),
            lock_file=Path(given["lock_file"]),
        )
    sinks: list[Sink] = [file_sink(Path(each)) for each in options.rows]
    run_id = options.run_id or f"local-{uuid.uuid4()}"
    pipes = _pipes()
    if pipes is not None:
        sinks.append(pipes_sink(pipes.report_custom_message))
        return Settings(
            target=Target.model_validate(pipes.extras["target"]),
            run_id=pipes.extras["run_id"],
            selection=selection,
            gate=_gate(pipes.extras),
            sinks=tuple(sinks),
            closing=(pipes,),
        )
    target = read_target(options.target)
    return Settings(target, run_id, selection, gate_of(target, run_id), tuple(sinks))


def gate_of(target: Target, run_id: str) -> Gate:
    """The gate of a run without Dagster: by what a person confirmed, where that is needed."""
    if not target.production:
        return Gate(target, run_id=run_id)
    from hokusai_validation.store.results import ResultStore
    from hokusai_validation.store.storage import default_base, default_options

    store = ResultStore(default_base(), default_options())
    return Gate.of(target, run_id, confirmation=store.confirmation(target.name, run_id))


def gate_extras(gate: Gate) -> dict[str, Any]:
    """A gate, to travel to another process beside its target and run."""
    return {"granted": sorted(gate.granted)}


def _gate(given: Mapping[str, Any]) -> Gate:
    target = Target.model_validate(given["target"])
    return Gate(target, frozenset(given.get("granted", ())), given["run_id"])


def _pipes() -> Any | None:
    """Dagster's context where one is open for this process, else None."""
    from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, open_dagster_pipes

    if DAGSTER_PIPES_CONTEXT_ENV_VAR not in os.environ:
        return None
    if os.environ.get("HOKUSAI_PIPES") != "s3":
        return open_dagster_pipes()
    import boto3
    from dagster_pipes import PipesS3ContextLoader, PipesS3MessageWriter

    s3 = boto3.client("s3")
    return open_dagster_pipes(
        context_loader=PipesS3ContextLoader(client=s3),
        message_writer=PipesS3MessageWriter(client=s3, interval=1.0),
    )
