"""What runs by the clock; off until somebody switches it on."""

import dagster as dg

from hokusai_validation.assets.resources import identifier
from hokusai_validation.automation.jobs import Job


def build_schedules(target_name: str) -> list[dg.ScheduleDefinition]:
    """The light job each hour, the whole at night (UTC)."""
    return [
        dg.ScheduleDefinition(
            name=f"{identifier(target_name)}_light_each_hour",
            job_name=Job.LIGHT.of(target_name),
            cron_schedule="5 * * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.STOPPED,
            tags={"target": target_name},
            description="Environment, discovery and health, each hour.",
        ),
        dg.ScheduleDefinition(
            name=f"{identifier(target_name)}_whole_each_night",
            job_name=Job.VALIDATE.of(target_name),
            cron_schedule="30 2 * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.STOPPED,
            tags={"target": target_name},
            description="All eight phases, at night.",
        ),
    ]
