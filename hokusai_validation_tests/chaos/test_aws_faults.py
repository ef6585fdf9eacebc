"""Faults on AWS, against moto."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from hokusai_validation.chaos.faults.fis import Fis
from hokusai_validation.chaos.faults.stop_task import StopTask
from hokusai_validation.chaos.injection import Injector
from hokusai_validation.errors import FaultNotApplied, NotPermitted
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Aws, EcsService, FaultKind, Permissions, Target

CLUSTER, SERVICE = "hokusai-development", "hokusai-api-development"


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """boto3, everything it talks to in this process."""
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield lambda service: boto3.client(service, region_name="us-east-1")


def target(templates: tuple[str, ...] = (), *kinds: FaultKind) -> Target:
    return Target(
        name="cloud",
        aws=Aws(cluster=CLUSTER, services={"api": EcsService(service=SERVICE)}),
        permissions=Permissions(
            faults=kinds or (FaultKind.STOP_TASK, FaultKind.FIS), fis_templates=templates
        ),
    )


def run_tasks(cloud: Any, count: int) -> list[str]:
    ecs = cloud("ecs")
    ecs.create_cluster(clusterName=CLUSTER)
    ec2 = cloud("ec2")
    instance = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    from moto.ec2.utils import generate_instance_identity_document
    from moto.moto_api import state_manager

    state_manager.set_transition("ecs::task", transition={"progression": "manual", "times": 100_000})
    document = json.dumps(generate_instance_identity_document(_instance(cloud, instance)))
    ecs.register_container_instance(cluster=CLUSTER, instanceIdentityDocument=document)
    ecs.register_task_definition(
        family="api", containerDefinitions=[{"name": "api", "image": "api", "cpu": 1, "memory": 4}]
    )
    ecs.create_service(cluster=CLUSTER, serviceName=SERVICE, taskDefinition="api", desiredCount=0)
    made = ecs.run_task(cluster=CLUSTER, taskDefinition="api", count=count, group=f"service:{SERVICE}")
    return [task["taskArn"] for task in made["tasks"]]


def _instance(cloud: Any, instance: str) -> Any:
    import boto3

    return boto3.resource("ec2", region_name="us-east-1").Instance(instance)


def test_a_task_is_stopped_and_seen_stopped(cloud: Any) -> None:
    tasks = run_tasks(cloud, 2)
    chosen = target()
    with Injector(chosen, Secrets(chosen)) as injector:
        with injector.fault(StopTask("api")) as injection:
            (seen,) = injection.proofs.values()
        assert "is STOPPED" in seen
    states = cloud("ecs").describe_tasks(cluster=CLUSTER, tasks=tasks)["tasks"]
    assert sorted(state["desiredStatus"] for state in states) == ["RUNNING", "STOPPED"]
    assert [state["stoppedReason"] for state in states if state["desiredStatus"] == "STOPPED"] == [
        "Hokusai Validation: chaos experiment"
    ]


def test_the_only_task_is_not_stopped(cloud: Any) -> None:
    tasks = run_tasks(cloud, 1)
    chosen = target()
    with (
        Injector(chosen, Secrets(chosen)) as injector,
        pytest.raises(NotPermitted, match=r"runs 1 task\(s\)"),
    ):
        injector.fault(StopTask("api")).__enter__()
    states = cloud("ecs").describe_tasks(cluster=CLUSTER, tasks=tasks)["tasks"]
    assert [state["desiredStatus"] for state in states] == ["RUNNING"]


def test_a_component_without_a_service_is_named(cloud: Any) -> None:
    chosen = target()
    with (
        Injector(chosen, Secrets(chosen)) as injector,
        pytest.raises(FaultNotApplied, match="names no ECS service for redis"),
    ):
        injector.fault(StopTask("redis")).__enter__()


def template(cloud: Any) -> str:
    made = cloud("fis").create_experiment_template(
        clientToken="one",
        description="stop a task",
        stopConditions=[{"source": "none"}],
        targets={},
        actions={},
        roleArn="arn:aws:iam::123456789012:role/fis",
    )
    return str(made["experimentTemplate"]["id"])


def test_a_fis_experiment_is_started_by_its_template_and_stopped(cloud: Any) -> None:
    identifier = template(cloud)
    chosen = target((identifier,))
    with Injector(chosen, Secrets(chosen)) as injector, injector.fault(Fis(identifier, "api")) as injection:
        (seen,) = injection.proofs.values()
        assert "is running" in seen or "is completed" in seen
        (experiment,) = cloud("fis").list_experiments()["experiments"]
        assert experiment["experimentTemplateId"] == identifier
        assert injection.faults[0].by_hand(injection.reach).endswith(experiment["id"])
    state = cloud("fis").get_experiment(id=experiment["id"])["experiment"]["state"]["status"]
    assert state in ("stopped", "completed")


def test_a_template_that_is_not_named_is_not_started(cloud: Any) -> None:
    identifier = template(cloud)
    chosen = target(("EXTother",))
    with (
        Injector(chosen, Secrets(chosen)) as injector,
        pytest.raises(NotPermitted, match=r"permissions\.fis_templates"),
    ):
        injector.fault(Fis(identifier, "api")).__enter__()
    assert cloud("fis").list_experiments()["experiments"] == []
