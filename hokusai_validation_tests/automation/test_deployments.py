"""The sensor after deployments against a stand-in for ECS: once each, none lost, none twice."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from hokusai_validation.automation.deployments import after_deployments
from hokusai_validation.automation.jobs import Job
from hokusai_validation.errors import AwsError, AwsNotFound
from hokusai_validation.resources.injected import TargetResource
from hokusai_validation_tests.automation import ecs
from hokusai_validation_tests.automation.ecs import Ecs

SERVICES = ("api", "auth", "mlflow")


class Daemon:
    """Ticks the sensor as Dagster's daemon does: the cursor is kept when a tick succeeds, and a run
    key is launched once."""

    def __init__(self, target: Path, instance: dg.DagsterInstance) -> None:
        self.tick_of = after_deployments("deployed", TargetResource(str(target)))
        self.instance = instance
        self.cursor: str | None = None
        self.launched: list[dg.RunRequest] = []

    def tick(self) -> list[dg.RunRequest]:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        result = self.tick_of(context)
        if isinstance(result, dg.SkipReason):
            return []
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        known = {request.run_key for request in self.launched}
        fresh = [item for item in result.run_requests or [] if item.run_key not in known]
        self.launched += fresh
        return fresh


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Ecs]:
    with ecs.running(tmp_path, SERVICES) as found:
        yield found


@pytest.fixture
def daemon(stack: Ecs) -> Iterator[Daemon]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(stack.target, instance)


def test_a_finished_rollout_of_all_services_is_validated_once(stack: Ecs, daemon: Daemon) -> None:
    [request] = daemon.tick()
    assert request.job_name == Job.VALIDATE.of("deployed")
    assert request.tags["target"] == "deployed"
    assert "api=registry.example/api:" in request.tags["hokusai/images"]
    assert "api=" in request.tags["hokusai/commits"]
    assert daemon.tick() == []


def test_services_deployed_together_wait_for_the_last_and_for_quiet(stack: Ecs, daemon: Daemon) -> None:
    daemon.tick()
    stack.roll_out("api")
    stack.roll_out("auth", "IN_PROGRESS")
    assert daemon.tick() == []
    stack.finish("auth")
    stack.roll_out("mlflow", age=timedelta(seconds=1))
    assert daemon.tick() == []
    stack.roll_out("mlflow")
    [request] = daemon.tick()
    assert request.run_key is not None
    assert request.run_key.count("ecs-svc/") == 3


def test_a_failed_rollout_gets_the_light_job(stack: Ecs, daemon: Daemon) -> None:
    daemon.tick()
    stack.roll_out("api", "FAILED")
    [request] = daemon.tick()
    assert request.job_name == Job.LIGHT.of("deployed")
    assert daemon.tick() == []


def test_a_deployment_during_a_run_queues_one_more_not_five(stack: Ecs, daemon: Daemon) -> None:
    daemon.tick()
    run = daemon.instance.create_run_for_job(
        job_def=_job(), tags={"target": "deployed"}, status=dg.DagsterRunStatus.STARTED
    )
    for _ in range(5):
        last = stack.roll_out("api")
        assert daemon.tick() == []
    daemon.instance.report_run_canceled(run)
    [request] = daemon.tick()
    assert last in str(request.run_key)
    assert len(request.tags["hokusai/superseded"].split()) == 4


@pytest.mark.parametrize("trouble", ["unreachable", "services gone"])
def test_when_aws_fails_the_tick_fails_and_the_next_catches_up(
    stack: Ecs, daemon: Daemon, trouble: str, tmp_path: Path
) -> None:
    daemon.tick()
    before = daemon.cursor
    good = stack.target.read_text()
    last = stack.roll_out("api")
    if trouble == "unreachable":
        stack.target.write_text(good.replace(stack.url, "http://127.0.0.1:9"))
        expected: type[AwsError] = AwsError
    else:
        gone = good
        for name in SERVICES:
            gone = gone.replace(f'service = "{name}"', f'service = "not-there-{name}"')
        stack.target.write_text(gone)
        expected = AwsNotFound
    with pytest.raises(expected):
        daemon.tick()
    assert daemon.cursor == before
    stack.target.write_text(good)
    [request] = daemon.tick()
    assert last in str(request.run_key)


@pytest.mark.parametrize("cursor", [None, "", "{", "null", "\x00", '{"settled": 3}', '{"since": "never"}'])
def test_a_lost_or_corrupt_cursor_launches_nothing_twice(
    stack: Ecs, daemon: Daemon, cursor: str | None
) -> None:
    daemon.tick()
    daemon.cursor = cursor
    assert daemon.tick() == []
    assert daemon.cursor != cursor, "there is a way back"


def test_every_page_of_services_is_read(tmp_path: Path) -> None:
    names = [f"service-{number:02d}" for number in range(23)]
    with ecs.running(tmp_path, names) as stack, dg.DagsterInstance.ephemeral() as instance:
        [request] = Daemon(stack.target, instance).tick()
        assert str(request.run_key).count("ecs-svc/") == 23


def _job() -> dg.JobDefinition:
    @dg.job
    def anything() -> None:
        pass

    return anything
