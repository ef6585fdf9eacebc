"""The jobs of a target: all of it, the phases that were not good, and the light one."""

from enum import StrEnum
from typing import TYPE_CHECKING

from hokusai_validation.result import Phase

if TYPE_CHECKING:  # what a command refuses needs the jobs' names only, and Dagster takes a second to import
    import dagster as dg

LIGHT_PHASES = (Phase.ENVIRONMENT, Phase.DISCOVERY, Phase.HEALTH)


class Job(StrEnum):
    """What a target's jobs are for. `failed_phases` holds all phases: whoever starts it (the command
    line, a sensor) selects those whose newest rows are not good."""

    VALIDATE = "validate"
    FAILED_PHASES = "failed_phases"
    LIGHT = "light"

    def of(self, target: str) -> str:
        """The job's name, which carries the target's."""
        from hokusai_validation.assets.resources import identifier

        return f"{identifier(target)}_{self.value}"

    def selection(self, target: str) -> "dg.AssetSelection":
        """Its phases, always with `aggregate`, `report` and the verdict."""
        import dagster as dg

        from hokusai_validation.assets.phase import key
        from hokusai_validation.assets.progress import STEPS
        from hokusai_validation.assets.report import VERDICT

        phases = LIGHT_PHASES if self is Job.LIGHT else tuple(Phase)
        steps = (*(phase.value for phase in phases), *STEPS[len(Phase) :])
        chosen = dg.AssetSelection.assets(*(key(target, step) for step in steps))
        return chosen | dg.AssetSelection.checks(dg.AssetCheckKey(key(target, "report"), VERDICT))

    @property
    def description(self) -> str:
        """What the UI says of it."""
        return {
            Job.VALIDATE: "All eight phases.",
            Job.FAILED_PHASES: "The phases with failed or broken tests, then aggregate and report.",
            Job.LIGHT: "Environment, discovery and health, then aggregate and report.",
        }[self]
