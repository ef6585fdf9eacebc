"""The suite as an ECS task inside the VPC, where MLflow and the database can be reached: the same command,
the same record, its objects in a bucket, by `PipesECSClient`."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_pipes import PipesExtras, PipesParams
from pydantic import ValidationError

from hokusai_validation.assets.progress import Told
from hokusai_validation.assets.suite_process import Message, Request
from hokusai_validation.assets.task_start import PatientEcs
from hokusai_validation.bounds import own_account
from hokusai_validation.catalogue import Entry, phase_entries
from hokusai_validation.errors import SuiteError
from hokusai_validation.resources.injected import TaskSettings
from hokusai_validation.runner.pipes import TRANSPORT_VARIABLE
from hokusai_validation.runner.process import Ended
from hokusai_validation.runner.standby import MODULE

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import RunTaskRequestTypeDef
    from mypy_boto3_s3 import S3Client

POLL_S = 6
# In the bucket, of what a phase and its task say to each other: worth nothing when both are over (deploy/stack.yaml).
PIPES_PREFIX = "pipes/"
START_LIMIT_S = 300.0
LONGEST_S = 3000.0


@dataclass(frozen=True)
class Clients:
    """boto3's clients, given from outside so that a stand-in can be used."""

    ecs: "ECSClient"
    s3: "S3Client"

    @classmethod
    def of_this_account(cls) -> "Clients":
        """By the credentials of this process."""
        return cls(own_account.ecs(), own_account.s3())


class SuiteTask:
    """Runs a phase's suite as a task, which is stopped when we give up."""

    def __init__(self, request: Request, settings: TaskSettings, clients: Clients | None = None) -> None:
        self._request = request
        self._settings = settings
        self._clients = clients or Clients.of_this_account()

    def run(self, context: dg.AssetExecutionContext, extras: PipesExtras) -> Ended:
        """Run it to its end. Its record holds the rows, also of a task that failed; `why` says why others
        may be missing, all of them where it could not be started: the phases below run and the report
        comes in any case.

        Raises SuiteError where secrets would have to travel."""
        from botocore.exceptions import BotoCoreError, ClientError
        from dagster_aws.pipes import PipesECSClient, PipesS3ContextInjector

        asked, settings, clients = self._request, self._settings, self._clients
        if asked.target.injected:
            raise SuiteError(
                f"Injected secrets ({', '.join(sorted(asked.target.injected))}) can't travel to an ECS task,"
                " where whoever may describe tasks could read them; name a Secrets Manager id in the target file."
            )
        started: list[str] = []
        clients.ecs.meta.events.register("after-call.ecs.RunTask", _note(started))
        patient: Any = PatientEcs(clients.ecs, start_limit_s=START_LIMIT_S)
        pipes = PipesECSClient(
            client=patient,
            context_injector=PipesS3ContextInjector(
                bucket=settings.bucket, client=clients.s3, key_prefix=PIPES_PREFIX
            ),
            message_reader=_reader(settings.bucket, clients.s3, asked.told),
        )
        longest_s = limit_s(phase_entries(asked.phase, asked.target.target))
        why = ""
        try:
            pipes.run(
                context=context,
                extras=dict(extras),
                run_task_params=run_task_parameters(asked, settings),
                waiter_config={"Delay": POLL_S, "MaxAttempts": math.ceil(longest_s / POLL_S)},
            )
        except (ClientError, BotoCoreError, RuntimeError, SuiteError) as error:
            told = asked.redactor.text(str(error))[:300]
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


def run_task_parameters(asked: Request, settings: TaskSettings) -> "RunTaskRequestTypeDef":
    """What ECS is asked for. No secret is in it: whoever may describe tasks can read it."""
    command = ["python", "-m", MODULE, "--phase", asked.phase.value, "--rows", asked.address]
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


def _reader(bucket: str, s3: "S3Client", told: Told) -> dg.PipesMessageReader:
    from dagster_aws.pipes import PipesS3MessageReader

    class Reader(PipesS3MessageReader):
        """Hands on progress as it arrives, and only whole messages to Dagster's thread, which ends at
        another."""

        @contextmanager
        def get_params(self) -> Iterator[PipesParams]:
            with super().get_params() as params:
                yield {**params, "key_prefix": f"{PIPES_PREFIX}{params['key_prefix']}"}

        def download_messages_chunk(self, index: int, params: PipesParams) -> str | None:
            chunk: str | None = super().download_messages_chunk(index, params)
            if chunk is None:
                return None
            return "\n".join(line for line in chunk.splitlines() if _hear(line, told))

    reader: dg.PipesMessageReader = Reader(bucket=bucket, client=s3, interval=1.0)
    return reader


def _hear(line: str, told: Told) -> bool:
    """Take the progress that a message carries; whether it is one at all."""
    try:
        message = Message.model_validate_json(line)
    except ValidationError:
        told.damaged += 1
        return False
    if message.method == "report_custom_message":
        told.hear((message.params or {}).get("payload"))
    return True


def _note(started: list[str]) -> Callable[..., None]:
    def note(parsed: dict[str, Any], **_: Any) -> None:
        started.extend(task["taskArn"] for task in parsed.get("tasks", ()))

    return note


def _stop(ecs: "ECSClient", cluster: str, tasks: Sequence[str]) -> None:
    """End what we started and is not over yet."""
    if not tasks:
        return
    described = ecs.describe_tasks(cluster=cluster, tasks=list(tasks))["tasks"]
    for task in described:
        if task.get("lastStatus") != "STOPPED":
            ecs.stop_task(cluster=cluster, task=task["taskArn"], reason="its validation phase is over")
