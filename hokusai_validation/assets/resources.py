"""The resources of a step, typed: Dagster gives them by key, and one location holds many targets'."""

import dagster as dg

from hokusai_validation.effective import EffectiveTarget
from hokusai_validation.resources.injected import ProcessResource, ResultsResource
from hokusai_validation.store.results import ResultStore


def identifier(target: str) -> str:
    """The target's name as Dagster takes it in names of jobs, sensors, resources and pools."""
    return target.replace("-", "_")


def target_key(target: str) -> str:
    """The key of the resource that holds the target of a run."""
    return f"{identifier(target)}_target"


def results_key(target: str) -> str:
    """The key of the resource that says where results lie."""
    return f"{identifier(target)}_results"


def process_key(target: str) -> str:
    """The key of the resource that says how suites run."""
    return f"{identifier(target)}_process"


def frames_key(target: str) -> str:
    """The key of the I/O manager of the phases' frames."""
    return f"{identifier(target)}_frames"


def target_of(context: dg.AssetExecutionContext, target: str) -> EffectiveTarget:
    """The target of the run that a step belongs to."""
    held: EffectiveTarget = getattr(context.resources, target_key(target))
    return held


def store_of(context: dg.AssetExecutionContext, target: str) -> ResultStore:
    """Where the run's results go."""
    results: ResultsResource = getattr(context.resources, results_key(target))
    return results.store()


def process_of(context: dg.AssetExecutionContext, target: str) -> ProcessResource:
    """How the run's suites are started."""
    settings: ProcessResource = getattr(context.resources, process_key(target))
    return settings
