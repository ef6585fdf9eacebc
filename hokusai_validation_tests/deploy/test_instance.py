"""The production settings of Dagster's instance: they load, store, log and launch."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget

from hokusai_validation_tests.deploy.conftest import DAEMON_TASK_DEFINITION, task_metadata
from hokusai_validation_tests.deploy.policies import DEPLOY

CLUSTER = "hokusai-validation-development"


@pytest.fixture
def instance(production: Mapping[str, str], tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    boto3.client("s3").create_bucket(Bucket=production["HOKUSAI_RESULTS_BUCKET"])
    shutil.copy(DEPLOY / "dagster.yaml", tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as found:
        yield found


def test_the_settings_are_the_ones_of_the_design(instance: dg.DagsterInstance) -> None:
    assert type(instance.run_storage).__name__ == "PostgresRunStorage"
    assert type(instance.event_log_storage).__name__ == "PostgresEventLogStorage"
    assert type(instance.run_launcher).__name__ == "EcsRunLauncher"
    assert type(instance.compute_log_manager).__name__ == "S3ComputeLogManager"
    assert instance.run_monitoring_enabled
    assert not instance.telemetry_enabled
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 4
    pools = instance.get_concurrency_config().pool_config
    assert pools.default_pool_limit == 1
    assert pools.pool_granularity is not None
    assert pools.pool_granularity.value == "run"


def test_a_run_is_stored_in_postgres_and_its_log_in_the_bucket(
    instance: dg.DagsterInstance, production: Mapping[str, str]
) -> None:
    @dg.asset(key=["t", "a"])
    def a() -> int:
        print("printed in the asset")
        return 1

    done = dg.materialize([a], instance=instance, tags={"target": "t"})
    assert done.success
    [run] = instance.get_runs(dg.RunsFilter(tags={"target": "t"}))
    assert run.run_id == done.run_id
    listed = boto3.client("s3").list_objects_v2(Bucket=production["HOKUSAI_RESULTS_BUCKET"])
    keys = [item["Key"] for item in listed.get("Contents", [])]
    assert [key for key in keys if key.startswith("compute-logs/") and done.run_id in key]


def test_a_run_is_launched_as_a_task_of_the_daemons_network(
    instance: dg.DagsterInstance, production: Mapping[str, str]
) -> None:
    ecs, ec2 = boto3.client("ecs"), boto3.client("ec2")
    daemon, subnet, group = _daemon_task(ecs, ec2)
    asked = _record_run_task(instance)
    target = ModuleTarget(
        module_name="hokusai_validation.definitions",
        attribute="defs",
        working_directory=str(DEPLOY.parent),
        location_name="targets",
    )
    with (
        task_metadata(CLUSTER, daemon),
        WorkspaceProcessContext(instance, target) as process,
    ):
        workspace = process.create_request_context()
        location = workspace.get_code_location("targets")
        repository = next(iter(location.get_repositories().values()))
        job = repository.get_full_job("production_light")
        run = instance.create_run(
            job_name="production_light",
            run_id=None,
            run_config={},
            status=None,
            tags={"target": "production"},
            root_run_id=None,
            parent_run_id=None,
            step_keys_to_execute=None,
            execution_plan_snapshot=None,
            job_snapshot=None,
            parent_job_snapshot=None,
            asset_selection=None,
            asset_check_selection=None,
            resolved_op_selection=None,
            op_selection=None,
            remote_job_origin=job.get_remote_origin(),
            job_code_origin=job.get_python_origin(),
            asset_graph=repository.asset_graph,
        )
        instance.launch_run(run.run_id, workspace)
    [call] = asked
    assert call["cluster"] == CLUSTER
    assert call["taskDefinition"].endswith(f":task-definition/{production['HOKUSAI_RUN_TASK_DEFINITION']}:1")
    network = call["networkConfiguration"]["awsvpcConfiguration"]
    assert network == {"subnets": [subnet], "securityGroups": [group], "assignPublicIp": "DISABLED"}
    [override] = call["overrides"]["containerOverrides"]
    assert override["name"] == "run"
    assert run.run_id in " ".join(override["command"])
    # No secret travels in the overrides, which anybody who may describe tasks can read.
    assert production["DAGSTER_POSTGRES_PASSWORD"] not in str(call)
    health = instance.run_launcher.check_run_worker_health(_launched(instance, run.run_id))
    assert health.status.value in ("RUNNING", "UNKNOWN", "SUCCESS")
    assert instance.run_launcher.terminate(run.run_id)


def _launched(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run


def _record_run_task(instance: dg.DagsterInstance) -> list[dict[str, Any]]:
    """What the launcher asks ECS for, seen on its own client."""
    asked: list[dict[str, Any]] = []
    launcher: Any = instance.run_launcher

    def note(params: dict[str, Any], **_: Any) -> None:
        asked.append(dict(params))

    launcher.ecs.meta.events.register("provide-client-params.ecs.RunTask", note)
    return asked


def _daemon_task(ecs: Any, ec2: Any) -> tuple[str, str, str]:
    """A running daemon, with the network that the launcher is to find."""
    ecs.create_cluster(clusterName=CLUSTER)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="validation", Description="validation", VpcId=vpc)["GroupId"]
    task = ecs.run_task(
        cluster=CLUSTER,
        taskDefinition=DAEMON_TASK_DEFINITION,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}},
    )["tasks"][0]
    return task["taskArn"], subnet, group
