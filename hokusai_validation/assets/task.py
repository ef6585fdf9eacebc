"""The suite as an ECS task inside the VPC, where MLflow and the database can be reached: the same command,
the same rows, by `PipesECSClient` over S3."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from hokusai_validation.assets.task_start import PatientEcs
from hokusai_validation.catalogue import Entry
from hokusai_validation.errors import SuiteError
from hokusai_validation.redaction import Redactor
from hokusai_validation.resources.injected import TaskSettings
from hokusai_validation.result import Phase, Result
from hokusai_validation.runner.process import MODULE, Ended

POLL_S = 6
START_LIMIT_S = 300.0
LONGEST_S = 3000.0
TRANSPORT_VARIABLE = "HOKUSAI_PIPES"


@dataclass(frozen=True)
class Clients:
    """boto3's clients, given from outside so that a stand-in can be used."""

    ecs: Any
    s3: Any


def run(
    context: dg.AssetExecutionContext,
    phase: Phase,
    entries: Sequence[Entry],
    extras: dict[str, Any],
    settings: TaskSettings,
    clients: Clients,
    *,
    receive: Callable[[Result], None],
    redactor: Redactor,
) -> Ended:
    """Run a phase's suite as a task and wait for its end. Rows that were sent before a task failed are
    received too; `why` says why others may be missing, all of them where it could not be started: the
    phases below run and the report comes in any case. The task is stopped when we give up."""
    from botocore.exceptions import BotoCoreError, ClientError
    from dagster_aws.pipes import PipesECSClient, PipesS3ContextInjector

    started: list[str] = []
    clients.ecs.meta.events.register("after-call.ecs.RunTask", _note(started))
    pipes = PipesECSClient(
        client=PatientEcs(clients.ecs, start_limit_s=START_LIMIT_S),
        context_injector=PipesS3ContextInjector(bucket=settings.bucket, client=clients.s3),
        message_reader=_reader(settings.bucket, clients.s3, receive),
    )
    why = ""
    try:
        pipes.run(
            context=context,
            extras=extras,
            run_task_params=run_task_parameters(phase, settings),
            waiter_config={"Delay": POLL_S, "MaxAttempts": math.ceil(limit_s(entries) / POLL_S)},
        )
    except (ClientError, BotoCoreError, RuntimeError, SuiteError) as error:
        told = redactor.text(str(error))[:300]
        if started:
            why = f"the suite's task ended badly: {told}"
        else:
            why = (
                f"the suite's task could not start in {settings.cluster}: {told}."
                " Check deploy/stack.yaml's task definition, permissions and subnets."
            )
    finally:
        _stop(clients.ecs, settings.cluster, started)
    return Ended(0 if not why else 1, why, "What the task printed is in its log group.")


def run_task_parameters(phase: Phase, settings: TaskSettings) -> dict[str, Any]:
    """What ECS is asked for. No secret is in it: whoever may describe tasks can read it."""
    command = ["python", "-m", MODULE, "--phase", phase.value]
    return {
        "cluster": settings.cluster,
        "taskDefinition": settings.task_definition,
        "launchType": "FARGATE",
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": list(settings.subnets),
                "securityGroups": list(settings.security_groups),
                "assignPublicIp": "DISABLED",
            }
        },
        "overrides": {
            "containerOverrides": [
                {
                    "name": settings.container,
                    "command": command,
                    "environment": [{"name": TRANSPORT_VARIABLE, "value": "s3"}],
                }
            ]
        },
    }


def limit_s(entries: Sequence[Entry]) -> float:
    """How long a task may take: every test twice at its limit, and its start. Less than a run may take
    (`max_runtime_seconds` of deploy/dagster.yaml), so that a phase ends before its run is ended."""
    return min(LONGEST_S, 2 * sum(entry.limit_s for entry in entries) + START_LIMIT_S)


def _reader(bucket: str, s3: Any, receive: Callable[[Result], None]) -> Any:
    from dagster_aws.pipes import PipesS3MessageReader

    class Reader(PipesS3MessageReader):
        """Hands on each row as it arrives: the client keeps them to itself when a task fails."""

        def download_messages_chunk(self, index: int, params: Any) -> str | None:
            chunk = super().download_messages_chunk(index, params)
            for line in (chunk or "").splitlines():
                message = json.loads(line)
                if message.get("method") == "report_custom_message":
                    receive(Result.model_validate(message["params"]["payload"]))
            return chunk

    return Reader(bucket=bucket, client=s3, interval=1.0)


def _note(started: list[str]) -> Callable[..., None]:
    def note(parsed: dict[str, Any], **_: Any) -> None:
        started.extend(task["taskArn"] for task in parsed.get("tasks", ()))

    return note


def _stop(ecs: Any, cluster: str, tasks: Sequence[str]) -> None:
    """End what we started and is not over yet."""
    if not tasks:
        return
    described = ecs.describe_tasks(cluster=cluster, tasks=list(tasks))["tasks"]
    for task in described:
        if task.get("lastStatus") != "STOPPED":
            ecs.stop_task(cluster=cluster, task=task["taskArn"], reason="its validation phase is over")
