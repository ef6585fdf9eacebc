"""How far each ECS service's newest deployment is, whichever controller deploys it.

Read from `DescribeServices` (deployments, or task sets where CodeDeploy or somebody else deploys) and,
where the account offers and permits it, from `ListServiceDeployments`, which alone tells a rollback
from a deployment that went well. Nothing is read out of AWS's sentences.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime

from hokusai_validation.errors import AwsNotFound, AwsPermissionMissing, AwsUnavailable
from hokusai_validation.resources.aws.calls import AwsCalls
from hokusai_validation.resources.aws.models import AwsModel, EcsServiceState, TaskSet

# Longer than any deployment takes: a bake time is at most one day.
LISTED = timedelta(days=7)
# AWS stamps its events a little before it shows them.
OVERLAP = timedelta(minutes=5)


class Outcome(StrEnum):
    """What a service's newest deployment came to."""

    FINISHED = "finished"
    MOVING = "moving"
    FAILED = "failed"  # and stays, nothing was rolled back
    ROLLED_BACK = "rolled_back"
    STOPPED = "stopped"
    REMOVED = "removed"  # the service was deleted, or was never there
    EMPTY = "empty"  # a service that nothing was deployed to yet


class Rollout(AwsModel):
    """A service's present deployment and what its newest attempt came to.

    `id` is the deployment (or task set) that serves; `attempt` the newest service deployment as
    `ListServiceDeployments` names it, empty where that was not read; `beside` what stands beside
    and may yet serve; `failed_beside` whether something beside it failed; `replaced` are attempts
    before the newest, as `SERVICE/ID`."""

    service: str
    outcome: Outcome
    id: str = ""
    attempt: str = ""
    task_definition: str = ""
    ended_at: AwareDatetime | None = None
    touched_at: AwareDatetime | None = None
    beside: tuple[str, ...] = ()
    failed_beside: bool = False
    replaced: tuple[str, ...] = ()
    by_code_deploy: bool = False


class ServiceDeployment(AwsModel):
    """One line of `ListServiceDeployments`."""

    id: str
    status: str
    created_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None


# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html
_STATUS: Mapping[str, Outcome] = {
    "PENDING": Outcome.MOVING,
    "IN_PROGRESS": Outcome.MOVING,
    "STOP_REQUESTED": Outcome.MOVING,
    "ROLLBACK_REQUESTED": Outcome.MOVING,
    "ROLLBACK_IN_PROGRESS": Outcome.MOVING,
    "SUCCESSFUL": Outcome.FINISHED,
    "STOPPED": Outcome.STOPPED,
    "ROLLBACK_SUCCESSFUL": Outcome.ROLLED_BACK,
    "ROLLBACK_FAILED": Outcome.FAILED,
}


def rollouts(
    calls: AwsCalls,
    cluster: str,
    names: Iterable[str],
    states: Mapping[str, EcsServiceState],
    *,
    at_rest: Mapping[str, str],
    since: datetime | None,
    now: datetime,
) -> Mapping[str, Rollout]:
    """The rollout of each named service. `at_rest` are the deployments that were settled before, by
    service: while such a one has no event newer than `since`, its history is not asked for.

    Raises AwsCredentialsRefused, AwsThrottled."""
    found: dict[str, Rollout] = {}
    once = calls.once()
    offered = True
    for name in sorted(set(names)):
        state = states.get(name)
        listed: Sequence[ServiceDeployment] = ()
        if offered and state is not None and _may_have_moved(state, at_rest.get(name), since):
            try:
                listed = _listed(once, cluster, name, now)
            except (AwsPermissionMissing, AwsUnavailable):
                offered = False
        found[name] = rollout(name, state, listed, since)
    once.close()
    return found


def rollout(
    name: str,
    state: EcsServiceState | None,
    listed: Sequence[ServiceDeployment] = (),
    since: datetime | None = None,
) -> Rollout:
    """One service's rollout. Pure."""
    if state is None or state.status in ("INACTIVE", "DRAINING"):
        return Rollout(service=name, outcome=Outcome.REMOVED)
    if state.controller in ("CODE_DEPLOY", "EXTERNAL"):
        return _of_task_sets(state)
    described = _of_deployments(state)
    if not listed:
        return described
    ordered = sorted(listed, key=lambda each: (each.created_at is not None, each.created_at, each.id))
    newest = ordered[-1]
    told = _STATUS.get(newest.status, described.outcome)
    # Two calls are two moments: what either of them sees moving, moves.
    outcome = described.outcome if described.outcome in (Outcome.MOVING, Outcome.FAILED) else told
    return described.model_copy(
        update={
            "outcome": outcome,
            "attempt": newest.id,
            "ended_at": newest.finished_at if outcome is told else described.ended_at,
            "replaced": tuple(
                f"{name}/{each.id}"
                for each in ordered[:-1]
                if since is not None and each.created_at is not None and each.created_at > since
            ),
        }
    )


def _of_deployments(state: EcsServiceState) -> Rollout:
    primary = state.primary
    if primary is None:
        return Rollout(service=state.name, outcome=Outcome.MOVING if state.deployments else Outcome.EMPTY)
    others = [each for each in state.deployments if each.id != primary.id]
    if primary.rollout_state == "FAILED":
        outcome = Outcome.FAILED
    elif primary.rollout_state:
        outcome = Outcome.FINISHED if primary.rollout_state == "COMPLETED" else Outcome.MOVING
    else:  # blue/green, or behind a Classic Load Balancer: the counts say it
        resting = state.running >= state.desired and not others
        outcome = Outcome.FINISHED if resting else Outcome.MOVING
    return Rollout(
        service=state.name,
        outcome=outcome,
        id=primary.id,
        task_definition=primary.task_definition,
        touched_at=primary.updated_at or primary.created_at,
        failed_beside=any(each.rollout_state == "FAILED" for each in others),
    )


def _of_task_sets(state: EcsServiceState) -> Rollout:
    """The set that serves is PRIMARY. A newer one beside it waits for its traffic; an older one
    waits for its end, which may be two days away and holds nothing up."""
    sets = [each for each in state.task_sets if each.status != "DRAINING"]
    primary = next((each for each in sets if each.status == "PRIMARY"), None)
    by_code_deploy = state.controller == "CODE_DEPLOY"
    if primary is None:
        outcome = Outcome.MOVING if sets else Outcome.EMPTY
        return Rollout(service=state.name, outcome=outcome, by_code_deploy=by_code_deploy)
    newer = [each for each in sets if _newer(each, primary)]
    moving = bool(newer) or primary.stability == "STABILIZING"
    return Rollout(
        service=state.name,
        outcome=Outcome.MOVING if moving else Outcome.FINISHED,
        id=primary.id,
        task_definition=primary.task_definition,
        touched_at=primary.updated_at or primary.created_at,
        # CodeDeploy's own messages name its deployment, not the task set.
        beside=tuple(sorted((each.external_id or each.id) if by_code_deploy else each.id for each in newer)),
        by_code_deploy=by_code_deploy,
    )


def _newer(one: TaskSet, other: TaskSet) -> bool:
    if one.id == other.id or one.created_at is None or other.created_at is None:
        return False
    return one.created_at > other.created_at


def _may_have_moved(state: EcsServiceState, settled: str | None, since: datetime | None) -> bool:
    if state.controller != "ECS" or state.status != "ACTIVE":
        return False  # such a service has no service deployments
    if since is None or state.primary is None or state.primary.id != settled:
        return True
    newest = max((each.at for each in state.events), default=None)
    return newest is None or newest > since - OVERLAP


def _listed(calls: AwsCalls, cluster: str, service: str, now: datetime) -> tuple[ServiceDeployment, ...]:
    try:
        return tuple(
            ServiceDeployment(
                id=str(item["serviceDeploymentArn"]).rsplit("/", 1)[-1],
                status=item.get("status", ""),
                created_at=item.get("createdAt"),
                finished_at=item.get("finishedAt"),
            )
            for item in calls.pages(
                "ecs",
                "list_service_deployments",
                "serviceDeployments",
                cluster=cluster,
                service=service,
                createdAt={"after": now - LISTED},
                maxResults=100,
            )
        )
    except AwsNotFound:
        return ()  # deleted between two calls: the next look says so
