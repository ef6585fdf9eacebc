"""What a validation on AWS does, piece by piece: done for real, against an account on a stand-in."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher.base import LaunchRunContext
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

from hokusai_validation.assets import task
from hokusai_validation.automation.alerts import build_alert_sensors
from hokusai_validation.automation.deployments import after_deployments
from hokusai_validation.chaos import stop
from hokusai_validation.chaos.faults.fis import Fis
from hokusai_validation.chaos.faults.stop_task import StopTask
from hokusai_validation.chaos.injection import Injector
from hokusai_validation.errors import NotDelivered
from hokusai_validation.resources.injected import ProcessResource, ResultsResource, TargetResource
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import Phase
from hokusai_validation.target import read_target
from hokusai_validation_tests.assets.materializing import materialize
from hokusai_validation_tests.deploy import fargate
from hokusai_validation_tests.deploy.account import RESULTS, SERVICES, TARGET, Account
from hokusai_validation_tests.deploy.operations import ACCOUNT, REGION
from hokusai_validation_tests.deploy.policies import DEPLOY


@contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    """Dagster's instance with the settings for AWS, with a folder of its own as a machine has."""
    with tempfile.TemporaryDirectory() as home:
        shutil.copy(DEPLOY / "dagster.yaml", Path(home) / "dagster.yaml")
        with dg.DagsterInstance.from_config(home) as made:
            yield made


def validate(account: Account, made: dg.DagsterInstance, phase: Phase) -> dg.ExecuteInProcessResult:
    """A run whose phase is a task; frames, rows, documents and logs go to the bucket."""
    process = ProcessResource(
        task_definition=fargate.FAMILY,
        cluster=fargate.CLUSTER,
        bucket=RESULTS,
        subnets=["subnet-1"],
        security_groups=["sg-1"],
    )
    clients = task.Clients(account.fargate.ecs, account.fargate.s3)
    with patch.object(task.Clients, "of_this_account", lambda *_: clients), patch.object(task, "POLL_S", 1):
        return materialize(account.target, phase, target=TARGET, instance=made, process=process)


def read_logs(done: dg.ExecuteInProcessResult) -> None:
    """What the webserver does to show what a run printed that ran elsewhere."""
    captured = (event for event in done.all_events if event.event_type_value == "LOGS_CAPTURED")
    [key] = {event.logs_captured_data.file_key for event in captured}
    with instance() as other:
        other.compute_log_manager.get_log_data([done.run_id, "compute_logs", key])


def launch(account: Account, made: dg.DagsterInstance) -> None:
    """A run as a task: launched, watched, failed, and another one ended by hand."""
    from moto.ecs.models import ecs_backends

    launcher: Any = made.run_launcher
    for fails in (True, False):
        run = made.create_run_for_job(_job, tags={"target": TARGET}, job_code_origin=_origin())
        launcher.launch_run(LaunchRunContext(dagster_run=run, workspace=None))
        run = made.get_run_by_id(run.run_id) or run
        launcher.check_run_worker_health(run)
        if fails:
            tasks: Any = ecs_backends[ACCOUNT][REGION].tasks[fargate.CLUSTER]
            state = tasks[run.tags["ecs/task_arn"]]
            state.last_status = state._status = "STOPPED"
            state.containers = [{"name": "run", "exitCode": 1}]
            launcher.check_run_worker_health(run)
        else:
            assert launcher.terminate(run.run_id)


@dg.job
def _job() -> None:
    pass


def _origin() -> JobPythonOrigin:
    pointer = ModuleCodePointer("hokusai_validation.definitions", "defs")
    return JobPythonOrigin("production_light", RepositoryPythonOrigin("python", pointer))


def tick(account: Account, made: dg.DagsterInstance) -> None:
    """The sensor after deployments, before and after one."""
    look = after_deployments(TARGET, TargetResource(str(account.target)))
    cursor = None
    for _ in range(2):
        result = look(dg.build_sensor_context(instance=made, cursor=cursor))
        assert isinstance(result, dg.SensorResult)
        cursor = result.cursor
        account.validated.roll_out(SERVICES[0])


def tell(account: Account, made: dg.DagsterInstance) -> None:
    """The sensors that tell people of the run's report."""
    of = {TARGET: TargetResource(str(account.target))}
    webhook, sns, _ = build_alert_sensors(of, ResultsResource())
    context = dg.build_sensor_context(instance=made)
    with context, pytest.raises(NotDelivered):  # nobody is behind the address
        webhook(context)
    told = sns(context)
    assert isinstance(told, dg.SensorResult)
    assert "Told of run" in str(told.skip_reason)


def inject(account: Account) -> None:
    """The faults that AWS itself makes, and the end of an experiment that was left running."""
    target = read_target(str(account.target))
    secrets = Secrets(target)
    with Injector(target, secrets) as injector:
        for fault in (StopTask("api"), Fis(account.experiment, "api")):
            with injector.fault(fault) as injection:
                assert injection.proofs
    account.admin("fis").start_experiment(experimentTemplateId=account.experiment)
    assert "Stopped FIS experiment" in " ".join(stop.clean(target, secrets))
