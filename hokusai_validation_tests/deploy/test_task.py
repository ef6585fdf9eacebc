"""A phase as an ECS task: what ECS is asked for, and rows that come back over S3 from the real suite,
run here with exactly the command and environment that the task was given."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from botocore.exceptions import ClientError

from hokusai_validation.assets import task
from hokusai_validation.assets.progress import Told
from hokusai_validation.assets.suite_process import Request
from hokusai_validation.assets.task import Clients, SuiteTask, limit_s, run_task_parameters
from hokusai_validation.assets.task_start import PatientEcs
from hokusai_validation.catalogue import phase_entries
from hokusai_validation.effective import EffectiveTarget
from hokusai_validation.errors import SuiteError
from hokusai_validation.redaction import Redactor
from hokusai_validation.resources.injected import TaskSettings
from hokusai_validation.result import Phase, Status
from hokusai_validation.store import record
from hokusai_validation.target import Endpoints, Target
from hokusai_validation_tests.deploy.fargate import CLUSTER, FAMILY, Fargate
from hokusai_validation_tests.deploy.policies import DEPLOY

PHASE = Phase.DISCOVERY
TARGET = Target(name="inside", endpoints=Endpoints())


@pytest.fixture
def fargate(production: Mapping[str, str], moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fargate]:
    monkeypatch.setattr(task, "POLL_S", 1)
    found = Fargate(moto, production["HOKUSAI_RESULTS_BUCKET"])
    yield found
    found.close()


def settings(bucket: str, definition: str = FAMILY) -> TaskSettings:
    return TaskSettings(CLUSTER, definition, "suite", bucket, ("subnet-1",), ("sg-1",))


def request(address: str) -> Request:
    return Request(PHASE, EffectiveTarget(target=TARGET), address, Told(PHASE), Redactor())


def test_the_task_is_asked_for_without_any_secret() -> None:
    asked = run_task_parameters(request("s3://bucket/rows/r/discovery"), settings("bucket"))
    network = asked["networkConfiguration"]["awsvpcConfiguration"]
    assert network == {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}
    [override] = asked["overrides"]["containerOverrides"]
    assert override["command"][:3] == ["python", "-m", "hokusai_validation.run_test_suite"]
    assert [item["name"] for item in override["environment"]] == ["HOKUSAI_PIPES"]


def _kept(fargate: Fargate, bucket: str) -> set[str]:
    """The bucket's keys; other tests of the session keep theirs there, too."""
    return {each["Key"] for each in fargate.s3.list_objects_v2(Bucket=bucket).get("Contents", ())}


def test_rows_come_back_from_the_task(
    fargate: Fargate, production: Mapping[str, str], tmp_path: Path
) -> None:
    bucket = production["HOKUSAI_RESULTS_BUCKET"]

    @dg.asset
    def phase(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        extras = {"target": TARGET.model_dump(mode="json"), "run_id": context.run.run_id}
        asked = request(address)
        ended = SuiteTask(asked, settings(bucket), Clients(fargate.ecs, fargate.s3)).run(context, extras)
        assert ended.why == ""
        # progress came too, of every row
        assert asked.told.compare(record.read_bucket(address, fargate.s3).rows) == ()
        yield dg.MaterializeResult()

    address = record.in_bucket(bucket, "a-run", PHASE.value)
    before = _kept(fargate, bucket)
    assert dg.materialize([phase]).success
    received = record.read_bucket(address, fargate.s3).rows
    # What was said on the way lies where it ends by rule.
    kept = _kept(fargate, bucket) - before
    assert {key.partition("/")[0] for key in kept} == {"pipes", "rows"}
    reported = {row.id for row in received if row.message != "not selected"}
    assert reported >= {entry.id for entry in phase_entries(PHASE)}
    assert {row.target for row in received} == {"inside"}
    assert {row.status for row in received} <= {Status.SKIPPED, Status.PASSED}


def test_a_task_that_cannot_start_says_where_and_leaves_the_phase_to_go_on(
    fargate: Fargate, production: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Dagster waits for the log of a task that never was.
    monkeypatch.setattr("dagster._core.pipes.utils.WAIT_FOR_LOGS_AFTER_EXECUTION_INTERVAL", 0)
    whys: list[str] = []

    @dg.asset
    def phase(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        bucket = production["HOKUSAI_RESULTS_BUCKET"]
        asked = request(record.in_bucket(bucket, "a-run", PHASE.value))
        asking = SuiteTask(asked, settings(bucket, "not-there"), Clients(fargate.ecs, fargate.s3))
        whys.append(asking.run(context, {}).why)
        yield dg.MaterializeResult()

    assert dg.materialize([phase]).success
    assert f"could not start in {CLUSTER}" in whys[0]


class NoCapacity:
    """ECS as it documents it where Fargate has no capacity: no task, and a failure that says so."""

    def __init__(self, times: int, error: str = "") -> None:
        self.times, self.error, self.asked = times, error, 0

    def run_task(self, **_: object) -> Mapping[str, Any]:
        self.asked += 1
        if self.asked > self.times:
            return {"tasks": [{"taskArn": "t", "containers": []}], "failures": []}
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": "m"}}, "RunTask")
        return {"tasks": [], "failures": [{"reason": "Capacity is unavailable at this time."}]}

    def describe_tasks(self, **_: object) -> Mapping[str, Any]:
        return {"tasks": [{"lastStatus": "PROVISIONING"}], "failures": []}


@pytest.mark.parametrize("error", ["", "ThrottlingException", "ServerException"])
def test_no_capacity_is_waited_out_with_longer_waits(error: str) -> None:
    ecs, waits = NoCapacity(3, error), list[float]()
    answer = PatientEcs(ecs, start_limit_s=300, rest_s=waits.append).run_task(cluster="c")
    assert answer["tasks"]
    assert len(waits) == 3
    assert waits == sorted(waits)


def test_no_capacity_at_all_is_told_after_the_limit() -> None:
    ecs, waits = NoCapacity(10**6), list[float]()
    with pytest.raises(SuiteError, match=r"no task within 300 s: Capacity is unavailable"):
        PatientEcs(ecs, start_limit_s=300, rest_s=waits.append).run_task(cluster="c")
    assert sum(waits) <= 300


def test_what_will_not_pass_is_not_asked_again() -> None:
    ecs = NoCapacity(10, "ClusterNotFoundException")
    with pytest.raises(ClientError):
        PatientEcs(ecs, start_limit_s=300, rest_s=lambda _: None).run_task(cluster="c")
    assert ecs.asked == 1


def test_a_task_that_never_comes_up_is_given_up() -> None:
    waits = list[float]()
    waiter = PatientEcs(NoCapacity(0), start_limit_s=60, rest_s=waits.append).get_waiter("tasks_stopped")
    with pytest.raises(SuiteError, match="still PROVISIONING after 60 s"):
        waiter.wait(WaiterConfig={"Delay": 6, "MaxAttempts": 1000}, cluster="c", tasks=["t"])
    assert sum(waits) == 60


def test_limits_are_nested() -> None:
    """A task starts within its limit, a phase's task ends before its run may, a run before it is ended."""
    settings = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())["run_monitoring"]
    assert 2 * task.START_LIMIT_S < task.LONGEST_S < settings["max_runtime_seconds"]


def test_a_tasks_time_is_bounded() -> None:
    for phase in Phase:
        assert task.START_LIMIT_S < limit_s(phase_entries(phase)) <= task.LONGEST_S
