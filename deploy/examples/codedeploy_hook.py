"""A hook that asks for a verdict before a deployment goes on: CodeDeploy's `AfterAllowTestTraffic`, or a
lifecycle hook of ECS' own blue/green deployment (`POST_TEST_TRAFFIC_SHIFT`), as a Lambda function.

It starts the validation's task, and answers by its exit status: 0 goes on, everything else rolls back.
Variables: `CLUSTER`, `TASK_DEFINITION`, `SUBNETS`, `SECURITY_GROUPS` (comma-separated), `TARGET`,
`CONTAINER` (`validation`). Its role needs `ecs:RunTask`, `ecs:DescribeTasks`, `iam:PassRole` for the task's
roles, and for CodeDeploy `codedeploy:PutLifecycleEventHookExecutionStatus`. Give it 15 minutes.
"""

import os
import time
from typing import Any

import boto3

WAIT_S = 10
MARGIN_MS = 60_000  # before Lambda ends us, so that an answer is given in any case


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """CodeDeploy's event has a deployment's id; ECS' is answered by what is returned."""
    task = (event.get("hookDetails") or {}).get("task") or started()
    status = exit_status(task, until_ms=context.get_remaining_time_in_millis)
    if "DeploymentId" in event:
        boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
            deploymentId=event["DeploymentId"],
            lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
            status="Succeeded" if status == 0 else "Failed",
        )
        return {"status": status}
    if status is None:  # ECS asks again, and is told where we were
        return {"hookStatus": "IN_PROGRESS", "callBackDelay": 30, "hookDetails": {"task": task}}
    return {"hookStatus": "SUCCEEDED" if status == 0 else "FAILED"}


def started() -> str:
    """The ARN of a task that validates the target."""
    command = ["hokusai-validation", "run", os.environ["TARGET"], "--no-chaos", "--no-load", "--quiet"]
    answer = boto3.client("ecs").run_task(
        cluster=os.environ["CLUSTER"],
        taskDefinition=os.environ["TASK_DEFINITION"],
        launchType="FARGATE",
        networkConfiguration={
            "awsvpcConfiguration": {
                "subnets": os.environ["SUBNETS"].split(","),
                "securityGroups": os.environ["SECURITY_GROUPS"].split(","),
            }
        },
        overrides={"containerOverrides": [{"name": _container(), "command": command}]},
    )
    if not answer["tasks"]:
        raise RuntimeError(f"The validation's task was not started: {answer['failures']}.")
    return str(answer["tasks"][0]["taskArn"])


def exit_status(task: str, *, until_ms: Any) -> int | None:
    """The status that the task ended with; None where it still runs when our time is over."""
    ecs = boto3.client("ecs")
    while until_ms() > MARGIN_MS:
        found = ecs.describe_tasks(cluster=os.environ["CLUSTER"], tasks=[task])["tasks"]
        if found and found[0]["lastStatus"] == "STOPPED":
            codes = [each.get("exitCode") for each in found[0]["containers"] if each["name"] == _container()]
            return 3 if not codes or codes[0] is None else int(codes[0])
        time.sleep(WAIT_S)
    return None


def _container() -> str:
    return os.environ.get("CONTAINER", "validation")
