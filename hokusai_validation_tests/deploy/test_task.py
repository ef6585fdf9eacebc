"""A phase as an ECS task: what ECS is asked for, and rows that come back over S3 from the real suite,
run here with exactly the command and environment that the task was given."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest

from hokusai_validation.assets import task
from hokusai_validation.assets.task import Clients, limit_s, run_task_parameters
from hokusai_validation.catalogue import phase_entries
from hokusai_validation.errors import SuiteError
from hokusai_validation.redaction import Redactor
from hokusai_validation.resources.injected import TaskSettings
from hokusai_validation.result import Phase, Result, Status
from hokusai_validation.target import Endpoints, Target

CLUSTER = "hokusai-validation-tasks"
FAMILY = "hokusai-validation-suite-test"
PHASE = Phase.DISCOVERY


class Fargate:
    """Runs what ECS by moto is asked to run, as a process of this machine."""

    def __init__(self, url: str, bucket: str) -> None:
        self.url, self.asked, self.exit_code = url, [], 0  # type: ignore[var-annotated]
        self.ecs: Any = boto3.client("ecs")
        self.s3: Any = boto3.client("s3")
        self.s3.create_bucket(Bucket=bucket)
        self.ecs.create_cluster(clusterName=CLUSTER)
        self.ecs.register_task_definition(
            family=FAMILY, containerDefinitions=[{"name": "suite", "image": "x:1", "memory": 128}]
        )
        self.ecs.meta.events.register("provide-client-params.ecs.RunTask", self._note)
        self.ecs.meta.events.register("after-call.ecs.RunTask", self._start)
        self.threads: list[threading.Thread] = []

    def _note(self, params: dict[str, Any], **_: Any) -> None:
        self.asked.append(params)
        # moto makes network interfaces only in a network that it knows.
        params.pop("networkConfiguration")

    def _start(self, parsed: dict[str, Any], **_: Any) -> None:
        from moto.ecs.models import ecs_backends

        if not parsed.get("tasks"):
            return
        started = parsed["tasks"][0]
        override = self.asked[-1]["overrides"]["containerOverrides"][0]
        state: Any = ecs_backends["123456789012"]["us-east-1"].tasks[CLUSTER][started["taskArn"]]

        def container() -> None:
            environment = {item["name"]: item["value"] for item in override["environment"]}
            subprocess.run(
                [sys.executable, *override["command"][1:]],
                env={**os.environ, **environment},
                check=False,
                timeout=120,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            state.last_status = state.desired_status = "STOPPED"
            state._status = "STOPPED"

        thread = threading.Thread(target=container)
        thread.start()
        self.threads.append(thread)


@pytest.fixture
def fargate(production: Mapping[str, str], moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fargate]:
    import urllib.request

    body = b'{"model_name": "ecs::task", "transition": {"progression": "manual", "times": 100000}}'
    request = urllib.request.Request(f"{moto}/moto-api/state-manager/set-transition", body)
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).close()
    monkeypatch.setattr(task, "POLL_S", 1)
    found = Fargate(moto, production["HOKUSAI_RESULTS_BUCKET"])
    yield found
    for thread in found.threads:
        thread.join(120)


def settings(bucket: str, definition: str = FAMILY) -> TaskSettings:
    return TaskSettings(CLUSTER, definition, "suite", bucket, ("subnet-1",), ("sg-1",))


def test_the_task_is_asked_for_without_any_secret() -> None:
    asked = run_task_parameters(PHASE, settings("bucket"))
    network = asked["networkConfiguration"]["awsvpcConfiguration"]
    assert network == {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}
    [override] = asked["overrides"]["containerOverrides"]
    assert override["command"][:3] == ["python", "-m", "hokusai_validation.run_test_suite"]
    assert [item["name"] for item in override["environment"]] == ["HOKUSAI_PIPES"]


def test_rows_come_back_from_the_task(
    fargate: Fargate, production: Mapping[str, str], tmp_path: Path
) -> None:
    received: list[Result] = []
    target = Target(name="inside", endpoints=Endpoints())

    @dg.asset
    def phase(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        ended = task.run(
            context,
            PHASE,
            phase_entries(PHASE),
            {"target": target.model_dump(mode="json"), "run_id": context.run.run_id},
            settings(production["HOKUSAI_RESULTS_BUCKET"]),
            Clients(fargate.ecs, fargate.s3),
            receive=received.append,
            redactor=Redactor(),
        )
        assert ended.why == ""
        yield dg.MaterializeResult()

    assert dg.materialize([phase]).success
    reported = {row.id for row in received if row.message != "not selected"}
    assert reported >= {entry.id for entry in phase_entries(PHASE)}
    assert {row.target for row in received} == {"inside"}
    assert {row.status for row in received} <= {Status.SKIPPED, Status.PASSED}


def test_a_task_that_cannot_start_is_an_error_that_says_where(
    fargate: Fargate, production: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Dagster waits for the log of a task that never was.
    monkeypatch.setattr("dagster._core.pipes.utils.WAIT_FOR_LOGS_AFTER_EXECUTION_INTERVAL", 0)

    @dg.asset
    def phase(context: dg.AssetExecutionContext) -> None:
        task.run(
            context,
            PHASE,
            phase_entries(PHASE),
            {},
            settings(production["HOKUSAI_RESULTS_BUCKET"], "not-there"),
            Clients(fargate.ecs, fargate.s3),
            receive=lambda row: None,
            redactor=Redactor(),
        )

    with pytest.raises(SuiteError, match=CLUSTER):
        dg.materialize([phase])


def test_a_tasks_time_is_bounded() -> None:
    for phase in Phase:
        assert task.START_LIMIT_S < limit_s(phase_entries(phase)) <= task.LONGEST_S
