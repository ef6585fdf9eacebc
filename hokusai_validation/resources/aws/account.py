"""What stands in an account around one ECS cluster, read for a target file. Read-only, every list followed to
its end; what may not be read is told, and the rest is read all the same."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from hokusai_validation.errors import AwsError
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.aws.models import (
    ContainerDefinition,
    EcsServiceState,
    Listener,
    LoadBalancer,
    TargetGroup,
    Task,
)

Found = TypeVar("Found")


class ServiceFound(BaseModel):
    """One ECS service with what belongs to it."""

    model_config = ConfigDict(frozen=True)

    state: EcsServiceState
    container: ContainerDefinition | None = None
    groups: tuple[TargetGroup, ...] = ()
    tasks: tuple[Task, ...] = ()


class Account(BaseModel):
    """Everything that was found; `unread` says what was not, and why."""

    model_config = ConfigDict(frozen=True)

    account_id: str
    cluster: str
    services: tuple[ServiceFound, ...] = ()
    balancers: tuple[LoadBalancer, ...] = ()
    listeners: tuple[Listener, ...] = ()
    names: Mapping[str, tuple[str, ...]] = {}  # namespace -> its services
    rds_instances: tuple[str, ...] = ()
    rds_clusters: tuple[str, ...] = ()
    cache_clusters: tuple[str, ...] = ()
    replication_groups: tuple[str, ...] = ()
    serverless_caches: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets that tasks are given, by id."""
        given = {
            _secret_id(value)
            for each in self.services
            if each.container is not None
            for value in each.container.secrets.values()
        }
        return tuple(sorted(given))


def read(aws: Aws) -> Account:
    """Read the account around `aws`'s cluster.

    Raises AwsError where not even the cluster's services can be listed."""
    unread: list[str] = []

    def tried(make: Callable[[], Found]) -> Found | None:
        try:
            return make()
        except AwsError as error:
            unread.append(str(error))
            return None

    identity = aws.identity()
    arns = list(aws.calls.pages("ecs", "list_services", "serviceArns", cluster=aws.ecs.cluster))
    states = aws.ecs.services(str(arn).rsplit("/", 1)[-1] for arn in arns)
    arns_of_groups = sorted({arn for state in states.values() for arn in state.target_groups})
    groups: Mapping[str, TargetGroup] = tried(lambda: aws.balancing.target_groups_of(arns_of_groups)) or {}
    services = tuple(
        ServiceFound(
            state=state,
            container=tried(partial(_container, aws, state)),
            groups=tuple(groups[arn] for arn in state.target_groups if arn in groups),
            tasks=tried(partial(aws.ecs.tasks, state.name)) or (),
        )
        for state in states.values()
    )
    leading = {arn for group in groups.values() for arn in group.load_balancers}
    every = (tried(partial(aws.balancing.load_balancers, ())) or ()) if leading else ()
    balancers = tuple(each for each in every if each.arn in leading)
    listeners: list[Listener] = []
    for each in balancers:
        listeners += tried(partial(aws.balancing.listeners, each)) or ()
    ids = partial(_ids, aws)
    return Account(
        account_id=identity.account,
        cluster=aws.ecs.cluster,
        services=services,
        balancers=balancers,
        listeners=tuple(listeners),
        names=tried(partial(_names, aws)) or {},
        rds_instances=tried(partial(_rds_instances, aws)) or (),
        rds_clusters=tried(partial(ids, "rds", "describe_db_clusters", "DBClusters", "DBClusterIdentifier"))
        or (),
        cache_clusters=tried(partial(_cache_clusters, aws)) or (),
        replication_groups=tried(
            partial(
                ids, "elasticache", "describe_replication_groups", "ReplicationGroups", "ReplicationGroupId"
            )
        )
        or (),
        serverless_caches=tried(
            partial(
                ids, "elasticache", "describe_serverless_caches", "ServerlessCaches", "ServerlessCacheName"
            )
        )
        or (),
        unread=tuple(dict.fromkeys(unread)),
    )


def _container(aws: Aws, state: EcsServiceState) -> ContainerDefinition | None:
    return aws.ecs.task_definition(state.task_definition).container(None)


def _names(aws: Aws) -> Mapping[str, tuple[str, ...]]:
    listed = aws.calls.pages("servicediscovery", "list_namespaces", "Namespaces")
    found: dict[str, tuple[str, ...]] = {}
    for namespace in listed:
        services = aws.calls.pages(
            "servicediscovery",
            "list_services",
            "Services",
            Filters=[{"Name": "NAMESPACE_ID", "Values": [namespace["Id"]], "Condition": "EQ"}],
        )
        found[str(namespace["Name"])] = tuple(sorted(str(each["Name"]) for each in services))
    return found


def _rds_instances(aws: Aws) -> tuple[str, ...]:
    """Those that are no members of a cluster: its own address is the one to use."""
    listed = aws.calls.pages("rds", "describe_db_instances", "DBInstances")
    return tuple(
        sorted(str(each["DBInstanceIdentifier"]) for each in listed if not each.get("DBClusterIdentifier"))
    )


def _cache_clusters(aws: Aws) -> tuple[str, ...]:
    listed = aws.calls.pages("elasticache", "describe_cache_clusters", "CacheClusters")
    return tuple(sorted(str(each["CacheClusterId"]) for each in listed if not each.get("ReplicationGroupId")))


def _ids(aws: Aws, service: str, operation: str, items: str, name: str) -> tuple[str, ...]:
    return tuple(sorted(str(each[name]) for each in aws.calls.pages(service, operation, items)))


def _secret_id(value_from: str) -> str:
    """The name of a secret: its ARN ends in six characters of chance, and may go on with a key."""
    match = re.match(r"arn:aws[\w-]*:secretsmanager:[^:]*:[^:]*:secret:([^:]+)", value_from)
    return re.sub(r"-[A-Za-z0-9]{6}$", "", match.group(1)) if match else value_from


def component_of(name: str, known: Sequence[str]) -> str | None:
    """Which component of the contract a service's name speaks of: by a whole word of it."""
    words: Iterable[str] = re.split(r"[^a-z0-9]+", name.lower())
    return next((word for word in words if word in known), None)
