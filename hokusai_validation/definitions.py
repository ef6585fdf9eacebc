"""Loads and merges: assets, checks, resources, jobs, schedules and sensors of every target. No logic.

`defs` is the one code location: all files under `targets/`, as they are when it is (re)loaded. A file
that can't be used costs its own target alone: a sensor that carries its name fails and says why.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from hokusai_validation.assets import aggregate, report
from hokusai_validation.assets.phase import build_phase
from hokusai_validation.assets.phases import PHASE_ASSETS
from hokusai_validation.assets.resources import (
    frames_key,
    identifier,
    process_key,
    results_key,
    target_key,
)
from hokusai_validation.automation import deployments
from hokusai_validation.automation.alerts import build_alert_sensors
from hokusai_validation.automation.failed_runs import build_failed_runs_sensor
from hokusai_validation.automation.jobs import Job
from hokusai_validation.automation.schedules import build_schedules
from hokusai_validation.catalogue import of_checks
from hokusai_validation.errors import HokusaiError, TargetInvalid
from hokusai_validation.resources.injected import (
    AwsResource,
    DatabaseResource,
    GatewayResource,
    KeyResource,
    MlflowResource,
    ProcessResource,
    RedisResource,
    ResultsResource,
    TargetResource,
    fixed,
)
from hokusai_validation.resources.io_manager import store_io_manager
from hokusai_validation.store import target_files
from hokusai_validation.target import targets_dir

UNUSABLE = "unusable_target"
UNUSABLE_INTERVAL_S = 600


def build(
    source: str,
    *,
    target: TargetResource | None = None,
    gateway: GatewayResource | None = None,
    key: KeyResource | None = None,
    aws: AwsResource | None = None,
    database: DatabaseResource | None = None,
    mlflow: MlflowResource | None = None,
    redis: RedisResource | None = None,
    results: ResultsResource | None = None,
    process: ProcessResource | None = None,
) -> dg.Definitions:
    """The definitions of a target, by name or path. What is given here replaces what its file says,
    for every run: it is what the suite's tests talk to. No stack needs to be up.

    Raises TargetNotFound, TargetInvalid."""
    overrides = tuple(each for each in (gateway, key, aws, database, mlflow, redis) if each is not None)
    held = target or TargetResource(source, overrides)
    kept = results or ResultsResource()
    own = _of_target(held, kept, process or ProcessResource.from_environment())
    return dg.Definitions.merge(own, _of_all({held.name(): held}, kept))


def _of_all(targets: Mapping[str, TargetResource], kept: ResultsResource) -> dg.Definitions:
    """The sensors that are for every target together."""
    return dg.Definitions(
        sensors=[*build_alert_sensors(targets, kept), build_failed_runs_sensor(targets, kept)]
    )


def _of_target(held: TargetResource, kept: ResultsResource, process: ProcessResource) -> dg.Definitions:
    """All of a target but the sensors that are for every target together."""
    name = held.name()
    resources = {
        target_key(name): held.definition(name, kept),
        results_key(name): fixed(kept, "Where results lie."),
        process_key(name): fixed(process, "How suites run."),
        frames_key(name): store_io_manager(kept),
    }
    own = of_checks(held.checks())
    assets = [
        *(build_phase(name, row, own) for row in PHASE_ASSETS),
        aggregate.build(name),
        report.build(name),
    ]
    checks = [report.build_verdict(name)]
    jobs = _jobs(
        name,
        dg.Definitions(
            assets=assets, asset_checks=checks, resources=resources, executor=dg.in_process_executor
        ),
    )
    after_deployments = dg.sensor(
        name=f"{identifier(name)}_{deployments.NAME}",
        jobs=jobs,
        minimum_interval_seconds=deployments.interval_s(held),
        description=deployments.DESCRIPTION,
        tags={"target": name},
    )(deployments.after_deployments(name, held))
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=jobs,
        schedules=build_schedules(name),
        sensors=[after_deployments],
        executor=dg.in_process_executor,
        resources=resources,
    )


def _jobs(name: str, own: dg.Definitions) -> list[dg.JobDefinition]:
    """A target's jobs, resolved on its own assets: on those of all targets each job would go through
    every asset, and loading them would take time with the square of their number."""
    jobs = [
        dg.define_asset_job(
            job.of(name), job.selection(name), description=job.description, tags={"target": name}
        )
        for job in Job
    ]
    resolving = dg.Definitions.merge(own, dg.Definitions(jobs=jobs))
    return [resolving.resolve_job_def(job.name) for job in jobs]


def build_all(folder: Path) -> dg.Definitions:
    """The definitions of every target file in a folder, whichever of them can be used."""
    merged = [dg.Definitions(executor=dg.in_process_executor)]
    taken: dict[str, Path] = {}
    usable: dict[str, TargetResource] = {}
    results, process = ResultsResource(), ProcessResource.from_environment()
    for path in sorted(folder.glob("*.toml")):
        try:
            held = TargetResource(str(path))
            name = identifier(held.name())
            if name in taken:
                raise TargetInvalid(
                    f"Target files {taken[name]} and {path} are of one name to Dagster, which takes `-` for"
                    " `_`: give one of them another `name`."
                )
            merged.append(_of_target(held, results, process))
            taken[name], usable[held.name()] = path, held
        except HokusaiError as error:
            merged.append(dg.Definitions(sensors=[_unusable(path, str(error))]))
    merged.append(_of_all(usable, results))
    return dg.Definitions.merge(*merged)


def _unusable(path: Path, why: str) -> dg.SensorDefinition:
    """A sensor that fails, in place of a target."""

    @dg.sensor(
        name=f"{UNUSABLE}_{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}",
        minimum_interval_seconds=UNUSABLE_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"{path} can't be used: {why}",
    )
    def unusable(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        raise TargetInvalid(f"{why} Then reload the code location.")

    return unusable


@dg.definitions
def defs() -> dg.Definitions:
    """All targets."""
    target_files.fetch()
    return build_all(targets_dir())
