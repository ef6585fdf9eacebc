"""Each controller and strategy of ECS, by answers as AWS documents them, held against its own model."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hokusai_validation.automation.rollouts import Cursor, Decision, decide
from hokusai_validation.resources.aws.ecs import Ecs
from hokusai_validation.resources.aws.rollouts import Outcome, Rollout, rollouts
from hokusai_validation_tests.aws_answers import Answer, DocumentedCalls, refused

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ARN = "arn:aws:ecs:us-east-1:123456789012"
DEFINITION = f"{ARN}:task-definition/api"
GROUPS = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup"
BLUE, GREEN = f"{GROUPS}/blue/1", f"{GROUPS}/green/2"


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def service(**changes: Any) -> dict[str, Any]:
    """A service of `DescribeServices`."""
    return {
        "serviceName": "api",
        "serviceArn": f"{ARN}:service/c/api",
        "clusterArn": f"{ARN}:cluster/c",
        "status": "ACTIVE",
        "desiredCount": 2,
        "runningCount": 2,
        "pendingCount": 0,
        "taskDefinition": f"{DEFINITION}:1",
        "deploymentController": {"type": "ECS"},
        "schedulingStrategy": "REPLICA",
        "deployments": [],
        "events": [],
        **changes,
    }


def deployment(number: int, status: str = "PRIMARY", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"ecs-svc/{number}",
        "status": status,
        "taskDefinition": f"{DEFINITION}:{number}",
        "desiredCount": 2,
        "runningCount": 2,
        "createdAt": ago(60 - number),
        "updatedAt": ago(50 - number),
        **changes,
    }


def task_set(number: int, status: str, stability: str = "STEADY_STATE", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"ecs-svc/{number}",
        "taskSetArn": f"{ARN}:task-set/c/api/ecs-svc/{number}",
        "status": status,
        "taskDefinition": f"{DEFINITION}:{number}",
        "computedDesiredCount": 2,
        "runningCount": 2,
        "stabilityStatus": stability,
        "createdAt": ago(60 - number),
        "updatedAt": ago(50 - number),
        "loadBalancers": [
            {"targetGroupArn": BLUE if number % 2 else GREEN, "containerName": "api", "containerPort": 8001}
        ],
        **changes,
    }


def by_code_deploy(*sets: dict[str, Any]) -> dict[str, Any]:
    named = [{**each, "externalId": f"d-{each['id'][-1]}", "startedBy": "CODE_DEPLOY"} for each in sets]
    return service(deploymentController={"type": "CODE_DEPLOY"}, taskSets=named)


def by_another(*sets: dict[str, Any]) -> dict[str, Any]:
    return service(deploymentController={"type": "EXTERNAL"}, taskSets=list(sets))


def history(*states: tuple[str, str]) -> dict[str, Any]:
    return {
        "serviceDeployments": [
            {
                "serviceDeploymentArn": f"{ARN}:service-deployment/c/api/{name}",
                "serviceArn": f"{ARN}:service/c/api",
                "clusterArn": f"{ARN}:cluster/c",
                "createdAt": ago(30 - number),
                "startedAt": ago(30 - number),
                "finishedAt": ago(20 - number),
                "status": status,
            }
            for number, (name, status) in enumerate(states)
        ]
    }


def look(described: Mapping[str, Any], listed: Answer | None = None, cursor: Cursor | None = None) -> Rollout:
    """The rollout that AWS's answers come to."""
    answers: dict[str, Answer] = {"DescribeServices": {"services": [described]}}
    if listed is not None:
        answers["ListServiceDeployments"] = listed
    calls = DocumentedCalls(answers)
    states = Ecs(calls, "c").services(["api"])
    known = cursor or Cursor()
    at_rest = {name: each.id for name, each in known.settled.items()}
    return rollouts(calls, "c", ["api"], states, at_rest=at_rest, since=known.since, now=NOW)["api"]


def tick(cursor: Cursor, found: Rollout, failed: tuple[str, ...] = ()) -> Decision:
    return decide(cursor, {"api": found}, now=NOW, quiet_s=60, patience_s=3600, busy=False, failed=failed)


def fired(looks: Sequence[Rollout]) -> list[str]:
    """The keys of the runs that a row of looks leads to."""
    cursor, keys = Cursor(), []
    for found in looks:
        decision = tick(cursor, found)
        cursor = decision.cursor
        keys += [decision.fire.run_key] if decision.fire else []
    return keys


def test_a_blue_green_deployment_of_code_deploy_from_start_to_end() -> None:
    blue = task_set(1, "PRIMARY")
    waiting = by_code_deploy(blue, task_set(2, "ACTIVE", "STABILIZING"))
    ready = by_code_deploy(blue, task_set(2, "ACTIVE"))
    shifted = by_code_deploy(task_set(2, "PRIMARY"), task_set(1, "ACTIVE"))
    over = by_code_deploy(task_set(2, "PRIMARY"), task_set(1, "DRAINING"))
    assert [look(each).outcome for each in (by_code_deploy(blue), waiting, ready, shifted, over)] == [
        Outcome.FINISHED,
        Outcome.MOVING,
        Outcome.MOVING,
        # The blue set may wait for two days; what serves is green.
        Outcome.FINISHED,
        Outcome.FINISHED,
    ]
    looks = [look(each) for each in (by_code_deploy(blue), waiting, ready, shifted, over)]
    assert fired(looks) == ["deployed:ecs-svc/1", "deployed:ecs-svc/2"]


def test_a_green_set_that_vanishes_was_rolled_back() -> None:
    blue = by_code_deploy(task_set(1, "PRIMARY"))
    waiting = by_code_deploy(task_set(1, "PRIMARY"), task_set(2, "ACTIVE"))
    looks = [look(each) for each in (blue, waiting, blue, blue)]
    assert fired(looks) == ["deployed:ecs-svc/1", "rolled_back:d-2"]


def test_a_return_to_the_set_before_was_a_rollback() -> None:
    blue, green = by_code_deploy(task_set(1, "PRIMARY")), by_code_deploy(task_set(2, "PRIMARY"))
    looks = [look(each) for each in (blue, green, blue, blue)]
    assert fired(looks) == ["deployed:ecs-svc/1", "deployed:ecs-svc/2", "rolled_back:ecs-svc/1"]


def test_a_failure_that_code_deploy_tells_of_is_told_once() -> None:
    blue = look(by_code_deploy(task_set(1, "PRIMARY")))
    waiting = look(by_code_deploy(task_set(1, "PRIMARY"), task_set(2, "ACTIVE")))
    cursor = tick(tick(Cursor(), blue).cursor, waiting).cursor
    told = tick(cursor, waiting, failed=("d-2",))
    assert told.fire is not None
    assert told.fire.run_key == "rolled_back:d-2"
    assert tick(told.cursor, blue).fire is None
    assert tick(told.cursor, blue, failed=("d-2",)).fire is None


def test_a_failure_between_two_looks_is_known_from_the_message_alone() -> None:
    blue = look(by_code_deploy(task_set(1, "PRIMARY")))
    told = tick(tick(Cursor(), blue).cursor, blue, failed=("d-9",))
    assert told.fire is not None
    assert told.fire.run_key == "rolled_back:d-9"
    assert tick(told.cursor, blue).fire is None


def test_an_external_controller() -> None:
    blue = by_another(task_set(1, "PRIMARY"))
    ready = by_another(task_set(1, "PRIMARY"), task_set(2, "ACTIVE"))
    green = by_another(task_set(2, "PRIMARY"), task_set(1, "ACTIVE"))
    nothing, unserved = by_another(), by_another(task_set(1, "ACTIVE"))
    assert [look(each).outcome for each in (blue, ready, green, nothing, unserved)] == [
        Outcome.FINISHED,
        Outcome.MOVING,
        Outcome.FINISHED,
        Outcome.EMPTY,
        Outcome.MOVING,
    ]


@pytest.mark.parametrize("strategy", ["BLUE_GREEN", "LINEAR", "CANARY"])
def test_ecs_own_shifting_strategies_end_with_their_service_deployment(strategy: str) -> None:
    """While both revisions run and bake, nothing is finished; `rolloutState` is not given for these."""
    configured = {"deploymentConfiguration": {"strategy": strategy, "bakeTimeInMinutes": 10}}
    baking = service(deployments=[deployment(2), deployment(1, "ACTIVE")], **configured)
    over = service(deployments=[deployment(2)], **configured)
    under_way = history(("s1", "SUCCESSFUL"), ("s2", "IN_PROGRESS"))
    assert look(baking, under_way).outcome is Outcome.MOVING
    assert look(over, under_way).outcome is Outcome.MOVING
    assert look(over, history(("s1", "SUCCESSFUL"), ("s2", "SUCCESSFUL"))).outcome is Outcome.FINISHED
    # Without the right to read the history the counts say it.
    denied = refused("AccessDeniedException")
    assert look(baking, denied).outcome is Outcome.MOVING
    assert look(over, denied).outcome is Outcome.FINISHED


def test_a_blue_green_rollback_that_leaves_the_same_deployment_is_told() -> None:
    before = service(deployments=[deployment(1)], deploymentConfiguration={"strategy": "BLUE_GREEN"})
    cursor = tick(Cursor(), look(before, history(("s1", "SUCCESSFUL")))).cursor
    moved = {**before, "events": [{"id": "e", "createdAt": NOW, "message": "(service api) …"}]}
    decision = tick(cursor, look(moved, history(("s1", "SUCCESSFUL"), ("s2", "ROLLBACK_SUCCESSFUL")), cursor))
    assert decision.fire is not None
    assert decision.fire.run_key == "rolled_back:s2"


@pytest.mark.parametrize("instances", [0, 3])
def test_a_daemon_service_is_done_on_however_many_instances(instances: int) -> None:
    found = service(
        schedulingStrategy="DAEMON",
        desiredCount=instances,
        runningCount=instances,
        deployments=[deployment(1, desiredCount=instances, runningCount=instances)],
    )
    assert look(found, history()).outcome is Outcome.FINISHED


def test_a_service_scaled_to_zero_is_done() -> None:
    found = service(
        desiredCount=0,
        runningCount=0,
        deployments=[deployment(1, desiredCount=0, runningCount=0, rolloutState="COMPLETED")],
    )
    assert look(found, history()).outcome is Outcome.FINISHED


@pytest.mark.parametrize("status", ["INACTIVE", "DRAINING"])
def test_a_service_that_is_being_deleted_is_removed(status: str) -> None:
    assert look(service(status=status)).outcome is Outcome.REMOVED


def test_a_breaker_that_rolls_back_is_moving_until_it_is_over() -> None:
    failed = deployment(2, "ACTIVE", rolloutState="FAILED", failedTasks=10)
    rolling = service(deployments=[deployment(3, rolloutState="IN_PROGRESS"), failed])
    assert look(rolling, history(("s2", "ROLLBACK_IN_PROGRESS"))).outcome is Outcome.MOVING
    over = service(deployments=[deployment(3, rolloutState="COMPLETED")])
    assert look(over, history(("s2", "ROLLBACK_SUCCESSFUL"))).outcome is Outcome.ROLLED_BACK


def test_the_history_of_a_service_at_rest_is_not_asked_for() -> None:
    found = service(deployments=[deployment(1, rolloutState="COMPLETED")])
    found["events"] = [{"id": "e", "createdAt": ago(600), "message": "(service api) …"}]
    cursor = tick(Cursor(), look(found, history())).cursor
    assert look(found, None, cursor).id == "ecs-svc/1"
