"""The sensor after deployments: looks at ECS, and asks for one run when a rollout is over."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from hokusai_validation.automation.jobs import LIGHT, VALIDATE
from hokusai_validation.automation.rollouts import Cursor, Fire, decide
from hokusai_validation.errors import AwsNotFound
from hokusai_validation.target import Aws as AwsSection
from hokusai_validation.target import Target, read_target

if TYPE_CHECKING:
    from hokusai_validation.resources.aws.client import Aws

INTERVAL_S = 60
TAG = "hokusai/{}"
UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def build_deployment_sensor(
    target_name: str, source: str, jobs: Sequence[UnresolvedAssetJobDefinition]
) -> dg.SensorDefinition:
    """The sensor of a target; `jobs` hold the whole and the light one. When AWS fails, the tick fails with AWS's own error and the cursor
    stays, so that the next tick catches up."""

    @dg.sensor(
        name="after_deployments",
        jobs=[job for job in jobs if job.name in (VALIDATE, LIGHT)],
        minimum_interval_seconds=INTERVAL_S,
        description="Validates each finished rollout once; a failed one gets the light job.",
        tags={"target": target_name},
    )
    def after_deployments(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from hokusai_validation.resources.aws.client import Aws
        from hokusai_validation.resources.secrets import Secrets

        target = read_target(source)
        if target.aws is None or not target.aws.services:
            return dg.SkipReason(f"Target '{target_name}' declares no ECS services ([aws.services]).")
        aws = Aws.from_target(target, Secrets(target))
        try:
            return _tick(context, target, target.aws, aws)
        finally:
            aws.close()

    return after_deployments


def _tick(
    context: dg.SensorEvaluationContext, target: Target, section: AwsSection, aws: "Aws"
) -> dg.SensorResult:
    from hokusai_validation.resources.aws.rollouts import replaced_deployments

    cursor = Cursor.model_validate_json(context.cursor) if context.cursor else Cursor()
    names = sorted({item.service for item in section.services.values()})
    services = aws.ecs.services(names)
    missing = sorted(set(names) - services.keys())
    if missing:
        raise AwsNotFound(
            f"ECS cluster {section.cluster} has no service {', '.join(missing)}: a deployment removed it,"
            f" or target '{target.name}' names it wrongly."
        )
    # Only a service whose deployment is another one now can have had one in between.
    moved = [n for n, item in services.items() if item.primary and item.primary.id not in cursor.seen]
    replaced = (
        replaced_deployments(aws.calls, section.cluster, moved, cursor.since)
        if cursor.since and moved
        else ()
    )
    running = context.instance.get_runs_count(dg.RunsFilter(tags={"target": target.name}, statuses=UNDER_WAY))
    decision = decide(
        cursor,
        services,
        now=datetime.now(UTC),
        quiet_s=target.automation.quiet_s,
        busy=running > 0,
        replaced=replaced,
    )
    kept = decision.cursor.model_dump_json()
    if decision.fire is None:
        return dg.SensorResult(skip_reason=decision.reason, cursor=kept)
    fire = decision.fire
    request = dg.RunRequest(
        run_key=f"{target.name}:{fire.run_key}",
        job_name=LIGHT if fire.light else VALIDATE,
        tags={"target": target.name, **_tags(fire, aws)},
    )
    return dg.SensorResult(run_requests=[request], cursor=kept)


def _tags(fire: Fire, aws: "Aws") -> Mapping[str, str]:
    """What was deployed, as tags: they lead from a deployment to its run and back."""
    tags = {TAG.format("deployments"): " ".join(sorted(fire.deployments.values()))}
    images: list[str] = []
    commits: list[str] = []
    for service, name in sorted(fire.task_definitions.items()):
        definition = aws.ecs.task_definition(name)
        container = definition.container(None)
        if container is not None:
            images.append(f"{service}={container.image}")
            commit = container.environment.get("GIT_COMMIT")
            commits += [f"{service}={commit}"] if commit else []
    tags[TAG.format("task_definitions")] = " ".join(
        f"{service}={name}" for service, name in sorted(fire.task_definitions.items())
    )
    tags[TAG.format("images")] = " ".join(images)
    if commits:
        tags[TAG.format("commits")] = " ".join(commits)
    if fire.finished_at is not None:
        tags[TAG.format("deployed_at")] = fire.finished_at.isoformat()
    if fire.superseded:
        tags[TAG.format("superseded")] = " ".join(fire.superseded)
    return tags
