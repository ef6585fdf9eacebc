"""The resources of a step, typed: Dagster gives them by key, and one location holds many targets'."""

import dagster as dg

from hokusai_validation.effective import EffectiveTarget
from hokusai_validation.resources.injected import ProcessResource, ResultsResource
from hokusai_validation.store.results import ResultStore

RESULTS = "results"
PROCESS = "process"


def identifier(target: str) -> str:
    """The target's name as Dagster takes it in names of jobs, sensors and resources."""
    return target.replace("-", "_")


def target_key(target: str) -> str:
    """The key of the resource that holds a target."""
    return f"{identifier(target)}_target"


def target_of(context: dg.AssetExecutionContext, target: str) -> EffectiveTarget:
    """The target of the run that a step belongs to."""
    held: EffectiveTarget = getattr(context.resources, target_key(target))
    return held


def store_of(context: dg.AssetExecutionContext) -> ResultStore:
    """Where the run's results go."""
    results: ResultsResource = context.resources.results
    return results.store()


def process_of(context: dg.AssetExecutionContext) -> ProcessResource:
    """How the run's suites are started."""
    settings: ProcessResource = context.resources.process
    return settings
