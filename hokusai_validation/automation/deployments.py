"""The sensor after deployments: looks at ECS, and asks for one run when a rollout is over.

It looks each minute, and at once when a message in the target's queue tells of an end."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from hokusai_validation.announcing import Automation, FollowUp
from hokusai_validation.automation import cursors
from hokusai_validation.automation.jobs import Job
from hokusai_validation.automation.rollouts import Cursor, Decision, Fire, decide
from hokusai_validation.errors import AwsNotFound, UsageError
from hokusai_validation.resources.aws.rollouts import Outcome
from hokusai_validation.resources.injected import TargetResource
from hokusai_validation.target import Aws as AwsSection
from hokusai_validation.target import Target, read_target

if TYPE_CHECKING:
    from hokusai_validation.resources.aws.client import Aws
    from hokusai_validation.resources.aws.queue import DeploymentEvent

INTERVAL_S = 60
QUEUE_INTERVAL_S = 5
NAME = "after_deployments"
DESCRIPTION = "Validates each finished rollout once; one that failed or was rolled back gets the light job."
TAG = "hokusai/{}"
Evaluation = Callable[[dg.SensorEvaluationContext], dg.SensorResult | dg.SkipReason]
UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def after_deployments(target_name: str, held: TargetResource) -> Evaluation:
    """What the sensor of a target does at each tick. When AWS fails, the tick fails with AWS's own
    error and the cursor stays, so that the next tick catches up."""

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from hokusai_validation.resources.aws.client import Aws
        from hokusai_validation.resources.secrets import Secrets

        cursor = cursors.read(context, Cursor)
        now = held.resolve()
        target = now.target
        if target.aws is None or not target.aws.services:
            return dg.SkipReason(f"Target '{target_name}' declares no ECS services ([aws.services]).")
        due = (
            target.automation.deployment_queue_url is None
            or cursor.since is None
            or datetime.now(UTC) - cursor.since >= timedelta(seconds=INTERVAL_S)
        )
        aws = Aws.from_target(target, Secrets(target, given=now.secrets))
        try:
            return _tick(context, cursor, target, target.aws, aws, due=due)
        finally:
            aws.close()

    return evaluate


def interval_s(held: TargetResource) -> int:
    """Seconds between ticks: few where there is a queue to look into, since that asks nothing of the target's account."""
    try:
        queue = read_target(held.source).automation.deployment_queue_url
    except UsageError:
        return INTERVAL_S  # the tick says what is wrong with the file
    return INTERVAL_S if queue is None else QUEUE_INTERVAL_S


def _tick(
    context: dg.SensorEvaluationContext,
    cursor: Cursor,
    target: Target,
    section: AwsSection,
    aws: "Aws",
    *,
    due: bool,
) -> dg.SensorResult | dg.SkipReason:
    from hokusai_validation.resources.aws import queue

    url = target.automation.deployment_queue_url
    calls = None if url is None else aws.own_calls(queue.region_of(url))
    try:
        events = () if calls is None or url is None else queue.receive(calls, url)
        if not due and not events:
            return dg.SkipReason("No message tells of a deployment.")
        decision = _look(context, cursor, target, section, aws, events)
        result = _result(decision, target, aws)
        # Only now: what a tick that failed was told of must come again.
        if calls is not None and url is not None:
            queue.remove(calls, url, events)
        return result
    finally:
        if calls is not None:
            calls.close()


def _look(
    context: dg.SensorEvaluationContext,
    cursor: Cursor,
    target: Target,
    section: AwsSection,
    aws: "Aws",
    events: "Sequence[DeploymentEvent]",
) -> Decision:
    from hokusai_validation.resources.aws.rollouts import rollouts

    now = datetime.now(UTC)
    names = sorted({item.service for item in section.services.values()})
    states = aws.ecs.services(names)
    if not states:
        raise AwsNotFound(
            f"ECS cluster {section.cluster} has none of the services {', '.join(names)}: they were all removed,"
            f" or target '{target.name}' names them wrongly."
        )
    found = rollouts(
        aws.calls,
        section.cluster,
        names,
        states,
        at_rest={name: each.id for name, each in cursor.settled.items()},
        since=cursor.since,
        now=now,
    )
    running = context.instance.get_runs_count(dg.RunsFilter(tags={"target": target.name}, statuses=UNDER_WAY))
    return decide(
        cursor,
        found,
        now=now,
        quiet_s=target.automation.quiet_s,
        patience_s=target.automation.patience_s,
        busy=running > 0,
        announced=any(each.ended for each in events),
        failed=tuple(each.failed for each in events if each.failed is not None),
    )


def _result(decision: Decision, target: Target, aws: "Aws") -> dg.SensorResult:
    kept = decision.cursor.model_dump_json()
    if decision.fire is None:
        return dg.SensorResult(skip_reason=decision.reason, cursor=kept)
    fire = decision.fire
    follow_up = _follow_up(target.automation, fire.outcome)
    if follow_up is FollowUp.NOTHING:
        reason = f"{decision.reason} Nothing is to run after that (`automation.after`)."
        return dg.SensorResult(skip_reason=reason, cursor=kept)
    request = dg.RunRequest(
        run_key=f"{target.name}:{fire.run_key}",
        job_name=(Job.LIGHT if follow_up is FollowUp.LIGHT else Job.VALIDATE).of(target.name),
        tags={"target": target.name, **_tags(fire, aws)},
    )
    return dg.SensorResult(run_requests=[request], cursor=kept)


def _follow_up(automation: Automation, outcome: Outcome) -> FollowUp:
    after = automation.after
    return {
        Outcome.FINISHED: after.finished,
        Outcome.FAILED: after.failed,
        Outcome.ROLLED_BACK: after.rolled_back,
        Outcome.STOPPED: after.stopped,
        Outcome.REMOVED: after.removed,
    }[outcome]


def _tags(fire: Fire, aws: "Aws") -> Mapping[str, str]:
    """What was deployed, as tags: they lead from a deployment to its run and back."""
    tags = {
        TAG.format("deployments"): " ".join(sorted(fire.deployments.values())),
        TAG.format("outcome"): fire.outcome.value,
    }
    images: list[str] = []
    commits: list[str] = []
    for service, name in sorted(fire.task_definitions.items()):
        try:
            definition = aws.ecs.task_definition(name)
        except AwsNotFound:
            continue  # deregistered and deleted meanwhile: the run is asked for in any case
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
    if fire.unfinished:
        tags[TAG.format("unfinished")] = " ".join(fire.unfinished)
    if fire.superseded:
        tags[TAG.format("superseded")] = " ".join(fire.superseded)
    return tags
