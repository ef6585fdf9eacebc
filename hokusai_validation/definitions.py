"""Loads and merges: assets, checks, resources, jobs, schedules and sensors of a target. No logic.

`workspace.yaml` lists one code location a target; the attribute's name is the target's
(`hokusai_validation.definitions`, attribute `production`). `defs` is the sandbox's.
"""

import re
from functools import cache

import dagster as dg

from hokusai_validation.assets import (
    aggregate,
    chaos,
    discovery,
    environment,
    functional,
    health,
    load,
    report,
)
from hokusai_validation.assets.phase import IO_MANAGER
from hokusai_validation.assets.resources import PROCESS, RESULTS, target_key
from hokusai_validation.automation.alerts import build_alert_sensors
from hokusai_validation.automation.deployments import build_deployment_sensor
from hokusai_validation.automation.jobs import build_jobs
from hokusai_validation.automation.schedules import build_schedules
from hokusai_validation.errors import TargetNotFound
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
from hokusai_validation.store.parquet import frames
from hokusai_validation.target import NAME_PATTERN, target_path

PHASES = (environment, discovery, health, functional, load, chaos, aggregate, report)


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
    name = held.name()
    jobs = build_jobs(name)
    return dg.Definitions(
        assets=[module.build(name) for module in PHASES],
        asset_checks=[report.build_verdict(name)],
        jobs=jobs,
        schedules=build_schedules(name),
        sensors=[build_deployment_sensor(name, source, jobs), *build_alert_sensors(name, source)],
        executor=dg.in_process_executor,
        resources={
            target_key(name): held.definition(name),
            RESULTS: fixed(results or ResultsResource(), "Where results lie."),
            PROCESS: fixed(process or ProcessResource.from_environment(), "How suites run."),
            IO_MANAGER: frames(results.base if results else ""),
        },
    )


@cache
def _of(name: str) -> dg.Definitions:
    return build(name)


def __getattr__(name: str) -> dg.Definitions:
    """The definitions of any target file by its name; `defs` is the sandbox."""
    target = "sandbox" if name == "defs" else name
    if not re.match(NAME_PATTERN, target):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        target_path(target)
    except TargetNotFound as error:
        raise AttributeError(str(error)) from None
    return _of(target)
