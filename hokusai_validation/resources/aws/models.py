"""What AWS says, as frozen models: only the fields that a check reads, named as AWS names them."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class AwsModel(BaseModel):
    """Base of everything below."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Identity(AwsModel):
    """Who the credentials say we are."""

    account: str
    arn: str


class EcsDeployment(AwsModel):
    """One deployment of a service; `rollout_state` is COMPLETED, IN_PROGRESS, FAILED or empty."""

    id: str
    status: str
    task_definition: str
    desired: int
    running: int
    rollout_state: str = ""
    rollout_reason: str = ""
    failed_tasks: int = 0
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None

    @property
    def is_primary(self) -> bool:
        """Whether it is the one that the service is meant to run."""
        return self.status == "PRIMARY"


class TaskSet(AwsModel):
    """A task set: what CodeDeploy, or another controller than ECS itself, deploys. `stability` is
    STEADY_STATE or STABILIZING."""

    id: str
    status: str
    task_definition: str
    stability: str = ""
    external_id: str = ""
    target_groups: tuple[str, ...] = ()
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None


class EcsEvent(AwsModel):
    """One line of a service's event list, newest first there."""

    at: AwareDatetime
    message: str


class EcsServiceState(AwsModel):
    """A service as `DescribeServices` shows it. `target_groups` are the ARNs that it registers its
    tasks with, by any of its task sets too; `alternate_groups` those of them that take over in a
    blue/green deployment."""

    name: str
    arn: str
    status: str
    desired: int
    running: int
    pending: int
    task_definition: str
    controller: str = "ECS"
    strategy: str = "ROLLING"
    scheduling: str = "REPLICA"
    deployments: tuple[EcsDeployment, ...] = ()
    task_sets: tuple[TaskSet, ...] = ()
    events: tuple[EcsEvent, ...] = ()
    target_groups: tuple[str, ...] = ()
    alternate_groups: tuple[str, ...] = ()

    @property
    def primary(self) -> EcsDeployment | None:
        """The deployment that it is meant to run."""
        return next((each for each in self.deployments if each.is_primary), None)


class TaskContainer(AwsModel):
    """One container of a task."""

    name: str
    image: str = ""
    image_digest: str = ""
    status: str = ""
    exit_code: int | None = None
    reason: str = ""


class Task(AwsModel):
    """A task; `addresses` are its private IPv4 addresses."""

    arn: str
    task_definition: str
    status: str
    group: str = ""
    health: str = ""
    created_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    stopped_at: AwareDatetime | None = None
    stopped_reason: str = ""
    addresses: tuple[str, ...] = ()
    containers: tuple[TaskContainer, ...] = ()


class ContainerDefinition(AwsModel):
    """One container of a task definition. `environment` may hold anything a person put there, so it
    is never written out without masking; `secrets` maps a variable to where its value comes from."""

    name: str
    image: str
    environment: Mapping[str, str] = Field(default_factory=dict, repr=False)
    secrets: Mapping[str, str] = Field(default_factory=dict)
    log_group: str = ""


class TaskDefinition(AwsModel):
    """A revision of a task definition."""

    arn: str
    family: str
    revision: int
    registered_at: AwareDatetime | None = None
    containers: tuple[ContainerDefinition, ...] = ()

    def container(self, name: str | None) -> ContainerDefinition | None:
        """The container of that name; the first where none is named."""
        if name is None:
            return self.containers[0] if self.containers else None
        return next((each for each in self.containers if each.name == name), None)


class LoadBalancer(AwsModel):
    """An application load balancer."""

    name: str
    arn: str
    dns_name: str
    state: str
    scheme: str


class RuleCondition(AwsModel):
    """One condition of a listener rule: `field` is AWS's (`host-header`, `path-pattern`, …), `name`
    that of a header, `pairs` a query's keys (or nothing) and values, `expressions` regular ones."""

    field: str
    values: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    name: str = ""
    pairs: tuple[tuple[str, str], ...] = ()


class RuleAction(AwsModel):
    """One action; `target_groups` are the ARNs that a `forward` may go to, with weights."""

    type: str
    target_groups: Mapping[str, int] = Field(default_factory=dict)
    redirect: Mapping[str, str] = Field(default_factory=dict)
    fixed_status: str = ""


class Rule(AwsModel):
    """A listener rule; `priority` is None for the default rule, which comes last."""

    arn: str
    priority: int | None
    conditions: tuple[RuleCondition, ...] = ()
    actions: tuple[RuleAction, ...] = ()


class Listener(AwsModel):
    """A listener of a load balancer, rules in the order in which they are tried."""

    arn: str
    load_balancer: str
    protocol: str
    port: int
    certificates: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()


class TargetGroup(AwsModel):
    """A target group."""

    name: str
    arn: str
    protocol: str
    port: int
    health_path: str = ""
    load_balancers: tuple[str, ...] = ()  # ARNs of those whose rules lead to it


class TargetHealth(AwsModel):
    """One registered target as its health checks see it."""

    id: str
    port: int | None
    state: str
    reason: str = ""
    description: str = ""


class DiscoveryInstance(AwsModel):
    """One instance of Cloud Map. It has an address, an IPv6 address, another name (`cname`), or none of
    these; a port or none. `health` is HEALTHY, UNHEALTHY, or UNKNOWN where nothing checks it."""

    id: str
    address: str = ""
    ipv6: str = ""
    cname: str = ""
    port: int | None = None
    health: str = ""


class DiscoveryService(AwsModel):
    """A service of a Cloud Map namespace with its instances. `in_dns` is false where only API calls
    (or Service Connect) find it."""

    name: str
    id: str
    in_dns: bool = True
    instances: tuple[DiscoveryInstance, ...] = ()


class Namespace(AwsModel):
    """A Cloud Map namespace; `kind` is HTTP, DNS_PRIVATE or DNS_PUBLIC."""

    name: str
    id: str
    kind: str = "DNS_PRIVATE"
    services: tuple[DiscoveryService, ...] = ()


class RdsInstance(AwsModel):
    """An RDS instance, or a cluster with its `members`. `address` is empty while it has none."""

    id: str
    status: str
    engine: str
    engine_version: str
    address: str = ""
    port: int | None = None
    user: str = ""
    database: str = ""
    storage_gib: int | None = None
    publicly_accessible: bool = False
    instance_class: str = ""
    members: tuple[str, ...] = ()


class CacheCluster(AwsModel):
    """An ElastiCache cluster, replication group or serverless cache (which has no nodes)."""

    id: str
    status: str
    engine: str
    engine_version: str = ""
    nodes: int = 0


class SecretVersion(AwsModel):
    """One version of a secret, never its value."""

    id: str
    stages: tuple[str, ...] = ()
    created_at: AwareDatetime | None = None


class SecretState(AwsModel):
    """What is known of a secret without reading it. `changed_at` is AWS's date of any change, a new tag
    among them; when its value changed is the current version's date."""

    name: str
    arn: str
    changed_at: AwareDatetime | None = None
    deleted: bool = False
    versions: tuple[SecretVersion, ...] = ()

    @property
    def current(self) -> SecretVersion | None:
        """The version that `AWSCURRENT` points at."""
        return next((each for each in self.versions if "AWSCURRENT" in each.stages), None)


class Certificate(AwsModel):
    """A certificate of ACM."""

    arn: str
    domain: str
    names: tuple[str, ...] = ()
    status: str = ""
    expires_at: AwareDatetime | None = None


class MetricPoint(AwsModel):
    """One value of a CloudWatch metric."""

    at: AwareDatetime
    value: float


class LogGroup(AwsModel):
    """A log group; `last_event_at` is None where it has no stream with an event."""

    name: str
    retention_days: int | None = None
    last_event_at: AwareDatetime | None = None


class LogEvent(AwsModel):
    """One log line."""

    at: datetime
    message: str
