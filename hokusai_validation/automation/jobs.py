"""The jobs of a target: all of it, the phases that were not good, and the light one."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from hokusai_validation.assets.phase import key
from hokusai_validation.assets.progress import STEPS
from hokusai_validation.assets.report import VERDICT
from hokusai_validation.result import Phase

VALIDATE = "validate"
FAILED_PHASES = "failed_phases"
LIGHT = "light"
LIGHT_PHASES = (Phase.ENVIRONMENT, Phase.DISCOVERY, Phase.HEALTH)


def selection(target: str, phases: tuple[Phase, ...]) -> dg.AssetSelection:
    """Some phases of a target, always with `aggregate`, `report` and the verdict."""
    steps = (*(phase.value for phase in phases), *STEPS[len(Phase) :])
    chosen = dg.AssetSelection.assets(*(key(target, step) for step in steps))
    return chosen | dg.AssetSelection.checks(dg.AssetCheckKey(key(target, "report"), VERDICT))


def build_jobs(target: str) -> list[UnresolvedAssetJobDefinition]:
    """The jobs. `failed_phases` holds all phases: whoever starts it (the command line, a sensor)
    selects those whose newest rows are not good."""
    tags = {"target": target}
    return [
        dg.define_asset_job(
            VALIDATE,
            selection(target, tuple(Phase)),
            description="All eight phases.",
            tags=tags,
        ),
        dg.define_asset_job(
            FAILED_PHASES,
            selection(target, tuple(Phase)),
            description="The phases with failed or broken tests, then aggregate and report.",
            tags=tags,
        ),
        dg.define_asset_job(
            LIGHT,
            selection(target, LIGHT_PHASES),
            description="Environment, discovery and health, then aggregate and report.",
            tags=tags,
        ),
    ]
