"""A phase as an ECS task: what ECS is asked for, and rows that come back over S3 from the real suite,
run here with exactly the command and environment that the task was given."""

from collections.abc import Iterator, Mapping
from pathlib import Path

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
from hokusai_validation_tests.deploy.fargate import CLUSTER, FAMILY, Fargate

PHASE = Phase.DISCOVERY


@pytest.fixture
def fargate(production: Mapping[str, str], moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fargate]:
    monkeypatch.setattr(task, "POLL_S", 1)
    found = Fargate(moto, production["HOKUSAI_RESULTS_BUCKET"])
    yield found
    found.close()


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
