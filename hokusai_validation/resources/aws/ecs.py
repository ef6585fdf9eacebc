"""ECS as it is: services with their rollouts, tasks with their addresses, task definitions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from hokusai_validation.errors import AwsNotFound
from hokusai_validation.resources.aws.calls import AwsCalls
from hokusai_validation.resources.aws.models import (
    ContainerDefinition,
    EcsDeployment,
    EcsEvent,
    EcsServiceState,
    Task,
    TaskContainer,
    TaskDefinition,
    TaskSet,
)

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import (
        DeploymentTypeDef,
        LoadBalancerTypeDef,
        LogConfigurationOutputTypeDef,
        ServiceTypeDef,
        TaskDefinitionTypeDef,
        TaskSetTypeDef,
        TaskTypeDef,
    )

# What one call takes at most, by AWS's own limits.
_SERVICES_A_CALL = 10
_TASKS_A_CALL = 100


class Ecs:
    """Reads one cluster."""

    def __init__(self, calls: AwsCalls, cluster: str) -> None:
        self._calls = calls
        self.cluster = cluster

    def services(self, names: Iterable[str]) -> Mapping[str, EcsServiceState]:
        """The services of these names that are there, by name. One that was deleted is not."""
        states: dict[str, EcsServiceState] = {}
        for some in _groups(sorted(set(names)), _SERVICES_A_CALL):
            answer = self._calls.call("ecs", "describe_services", cluster=self.cluster, services=list(some))
            for item in answer.get("services", ()):
                if item.get("status") != "INACTIVE":
                    states[item["serviceName"]] = _service(item)
        return states

    def service(self, name: str) -> EcsServiceState:
        """One service.

        Raises AwsNotFound."""
        found = self.services([name]).get(name)
        if found is None:
            raise AwsNotFound(
                f"ECS service {name} is not in cluster {self.cluster}; correct it in the target file."
            )
        return found

    def tasks(self, service: str, *, stopped: bool = False) -> tuple[Task, ...]:
        """The tasks of a service: those that should run, or the ones that ended lately."""
        arns = list(
            self._calls.pages(
                "ecs",
                "list_tasks",
                "taskArns",
                cluster=self.cluster,
                serviceName=service,
                desiredStatus="STOPPED" if stopped else "RUNNING",
            )
        )
        tasks: list[Task] = []
        for some in _groups(arns, _TASKS_A_CALL):
            answer = self._calls.call("ecs", "describe_tasks", cluster=self.cluster, tasks=list(some))
            tasks.extend(_task(item) for item in answer.get("tasks", ()))
        return tuple(tasks)

    def task_definition(self, name: str) -> TaskDefinition:
        """A revision by ARN or `family:revision`, or the newest of a family.

        Raises AwsNotFound."""
        answer = self._calls.call("ecs", "describe_task_definition", taskDefinition=name)
        return _task_definition(answer["taskDefinition"])


def _groups(items: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    rest = iter(items)
    while some := tuple(islice(rest, size)):
        yield some


def _service(item: "ServiceTypeDef") -> EcsServiceState:
    sets = tuple(_task_set(each) for each in item.get("taskSets", ()))
    balancers = item.get("loadBalancers", ())
    controller = item.get("deploymentController")
    alternate = {
        str(each["advancedConfiguration"]["alternateTargetGroupArn"])
        for each in balancers
        if (each.get("advancedConfiguration") or {}).get("alternateTargetGroupArn")
    }
    groups = {*_groups_of(balancers), *alternate, *(arn for each in sets for arn in each.target_groups)}
    return EcsServiceState(
        name=item["serviceName"],
        arn=item["serviceArn"],
        status=item.get("status", ""),
        desired=item.get("desiredCount", 0),
        running=item.get("runningCount", 0),
        pending=item.get("pendingCount", 0),
        task_definition=item.get("taskDefinition", ""),
        controller=controller["type"] if controller and controller.get("type") else "ECS",
        strategy=(item.get("deploymentConfiguration") or {}).get("strategy") or "ROLLING",
        scheduling=item.get("schedulingStrategy") or "REPLICA",
        deployments=tuple(_deployment(each) for each in item.get("deployments", ())),
        task_sets=sets,
        target_groups=tuple(sorted(groups)),
        alternate_groups=tuple(sorted(alternate)),
        events=tuple(
            EcsEvent(at=each["createdAt"], message=each.get("message", ""))
            for each in item.get("events", ())
            if each.get("createdAt") is not None
        ),
    )


def _deployment(item: "DeploymentTypeDef") -> EcsDeployment:
    return EcsDeployment(
        id=item.get("id", ""),
        status=item.get("status", ""),
        task_definition=item.get("taskDefinition", ""),
        desired=item.get("desiredCount", 0),
        running=item.get("runningCount", 0),
        rollout_state=item.get("rolloutState", "") or "",
        rollout_reason=item.get("rolloutStateReason", "") or "",
        failed_tasks=item.get("failedTasks", 0) or 0,
        created_at=item.get("createdAt"),
        updated_at=item.get("updatedAt"),
    )


def _task_set(item: "TaskSetTypeDef") -> TaskSet:
    return TaskSet(
        id=item.get("id", ""),
        status=item.get("status", ""),
        task_definition=item.get("taskDefinition", ""),
        stability=item.get("stabilityStatus", "") or "",
        external_id=item.get("externalId", "") or "",
        target_groups=tuple(sorted(_groups_of(item.get("loadBalancers", ())))),
        created_at=item.get("createdAt"),
        updated_at=item.get("updatedAt"),
    )


def _groups_of(balancers: "Iterable[LoadBalancerTypeDef]") -> set[str]:
    return {str(each["targetGroupArn"]) for each in balancers if each.get("targetGroupArn")}


def _task(item: "TaskTypeDef") -> Task:
    containers = item.get("containers", ())
    addresses = {
        str(interface["privateIpv4Address"])
        for container in containers
        for interface in container.get("networkInterfaces", ())
        if interface.get("privateIpv4Address")
    }
    addresses |= {
        str(detail["value"])
        for attachment in item.get("attachments", ())
        for detail in attachment.get("details", ())
        if detail.get("name") == "privateIPv4Address"
    }
    return Task(
        arn=item["taskArn"],
        task_definition=item.get("taskDefinitionArn", ""),
        status=item.get("lastStatus", ""),
        group=item.get("group", "") or "",
        health=item.get("healthStatus", "") or "",
        created_at=item.get("createdAt"),
        started_at=item.get("startedAt"),
        stopped_at=item.get("stoppedAt"),
        stopped_reason=item.get("stoppedReason", "") or "",
        addresses=tuple(sorted(addresses)),
        containers=tuple(
            TaskContainer(
                name=each.get("name", ""),
                image=each.get("image", "") or "",
                image_digest=each.get("imageDigest", "") or "",
                status=each.get("lastStatus", "") or "",
                exit_code=each.get("exitCode"),
                reason=each.get("reason", "") or "",
            )
            for each in containers
        ),
    )


def _task_definition(item: "TaskDefinitionTypeDef") -> TaskDefinition:
    return TaskDefinition(
        arn=item["taskDefinitionArn"],
        family=item["family"],
        revision=item["revision"],
        registered_at=item.get("registeredAt"),
        containers=tuple(
            ContainerDefinition(
                name=each["name"],
                image=each.get("image", ""),
                environment={
                    str(pair["name"]): str(pair.get("value", "")) for pair in each.get("environment", ())
                },
                secrets={
                    str(pair["name"]): str(pair.get("valueFrom", "")) for pair in each.get("secrets", ())
                },
                log_group=_log_group(each.get("logConfiguration")),
            )
            for each in item.get("containerDefinitions", ())
        ),
    )


def _log_group(config: "LogConfigurationOutputTypeDef | None") -> str:
    return "" if config is None else config.get("options", {}).get("awslogs-group", "")
