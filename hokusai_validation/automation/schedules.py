"""What runs by the clock; off until somebody switches it on."""

import dagster as dg

from hokusai_validation.automation.jobs import LIGHT, VALIDATE


def build_schedules(target_name: str) -> list[dg.ScheduleDefinition]:
    """The light job each hour, the whole at night (UTC)."""
    return [
        dg.ScheduleDefinition(
            name="light_each_hour",
            job_name=LIGHT,
            cron_schedule="5 * * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.STOPPED,
            tags={"target": target_name},
            description="Environment, discovery and health, each hour.",
        ),
        dg.ScheduleDefinition(
            name="whole_each_night",
            job_name=VALIDATE,
            cron_schedule="30 2 * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.STOPPED,
            tags={"target": target_name},
            description="All eight phases, at night.",
        ),
    ]
