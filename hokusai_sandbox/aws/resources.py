"""The resources of the service contract, written straight into moto's backends: the same objects
that its API would make, without the time that forty calls of it take."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.acm.models import acm_backends
from moto.ecs.models import EC2ContainerServiceBackend, Task, TaskDefinition, ecs_backends
from moto.elbv2.models import ELBv2Backend, FakeTargetGroup, elbv2_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.servicediscovery.models import servicediscovery_backends
from pydantic import JsonValue

from hokusai_sandbox.aws import observed, stores
from hokusai_sandbox.aws.resources_names import (
    HEALTH_PATHS,
    LOAD_BALANCERS,
    SERVICES,
    TARGET_GROUPS,
    log_group,
)
from hokusai_sandbox.aws.settings import AwsSettings, Placed
from hokusai_sandbox.plan import (
    ACCOUNT,
    CLUSTER,
    DATABASE_SECRET,
    HOSTS,
    NAMESPACE,
    REGION,
)

DEPLOYED_BEFORE = timedelta(hours=2)
SUBNETS = ("subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002")


class PlacedTask(Task):
    """A task with what AWS tells of it, and moto does not; `process` is the sandbox's that it stands for."""

    process: str
    created_at: datetime
    started_at: datetime
    health_status: str
    cpu: str | None
    memory: str | None
    version: int
    stop_code: str | None = None
    stopped_at: datetime | None = None


def image(component: str, commit: str) -> str:
    """A service's image, tagged by commit."""
    return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/hokusai-{component}:{commit[:12]}"


class Resources:
    """Registers everything, and keeps what the states need to find again."""

    def __init__(self, settings: AwsSettings) -> None:
        self.settings = settings
        self.start = datetime.fromtimestamp(settings.started_at, UTC)
        self.ecs: EC2ContainerServiceBackend = ecs_backends[ACCOUNT][REGION]
        self.elb: ELBv2Backend = elbv2_backends[ACCOUNT][REGION]
        self.groups: dict[str, FakeTargetGroup] = {}
        self.certificate_arn = ""

    def register(self) -> None:
        """All of it. The order matters: listeners name target groups and the certificate."""
        self.database = stores.register(self.settings, self.start)
        self._balancing()
        self._services()
        self._names()
        observed.register(self.settings)

    def _balancing(self) -> None:
        settings = self.settings
        self.certificate_arn = acm_backends[ACCOUNT][REGION].import_certificate(
            settings.certificate.encode(), settings.certificate_key.encode(), None, None, []
        )
        vpc = next(iter(self.elb.ec2_backend.vpcs.values()))
        subnets = [item.id for item in self.elb.ec2_backend.get_default_subnets().values()][:2]
        for component, name in TARGET_GROUPS.items():
            group = self.elb.create_target_group(
                name,
                protocol="HTTP",
                port=str(settings.tasks[component][0].port),
                vpc_id=vpc.id,
                target_type="ip",
                healthcheck_enabled="true",
                healthcheck_protocol="HTTP",
                healthcheck_port="traffic-port",
                healthcheck_path=HEALTH_PATHS[component],
                healthcheck_interval_seconds=5,
                healthcheck_timeout_seconds=3,
                healthy_threshold_count=2,
                unhealthy_threshold_count=2,
                matcher={"HttpCode": "200"},
            )
            group.register([{"Id": task.address, "Port": task.port} for task in settings.tasks[component]])
            self.groups[component] = group
        for name, (hosts, default) in LOAD_BALANCERS.items():
            balancer = self.elb.create_load_balancer(name, [], subnets, scheme="internet-facing")
            balancer.state = "active"
            for component in {default, *(("mlflow",) if default == "api" else ())}:
                self.groups[component].load_balancer_arns.append(balancer.arn)
            secure = self.elb.create_listener(
                balancer.arn,
                "HTTPS",
                "443",
                "ELBSecurityPolicy-TLS13-1-2-2021-06",
                self.certificate_arn,
                [self.forward(default)],
            )
            self.elb.create_listener(
                balancer.arn,
                "HTTP",
                "80",
                "",
                None,
                [
                    {
                        "Type": "redirect",
                        "RedirectConfig": {
                            "Protocol": "HTTPS",
                            "Port": "443",
                            "StatusCode": "HTTP_301",
                            "Host": "#{host}",
                            "Path": "/#{path}",
                            "Query": "#{query}",
                        },
                    }
                ],
            )
            for number, host in enumerate(hosts):
                self.elb.create_rule(
                    secure.arn,
                    [{"Field": "host-header", "HostHeaderConfig": {"Values": [HOSTS[host]]}}],
                    100 + 10 * number,
                    [self.forward(default)],
                )

    def forward(self, component: str) -> dict[str, JsonValue]:
        """A listener's action that sends to a component's target group."""
        arn = self.groups[component].arn
        return {
            "Type": "forward",
            "TargetGroupArn": arn,
            "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": arn, "Weight": 1}]},
        }

    def _services(self) -> None:
        self.ecs.create_cluster(CLUSTER)
        for component, service_name in SERVICES.items():
            older = "0" * 8 + self.settings.commit[:32]
            self.task_definition(component, older, self.start - timedelta(days=14))
            newest = self.task_definition(
                component, self.settings.commit, self.start - DEPLOYED_BEFORE - timedelta(minutes=5)
            )
            places = self.settings.tasks[component]
            service: Any = self.ecs.create_service(
                CLUSTER,
                service_name,
                len(places),
                newest.arn,
                launch_type="FARGATE",
                load_balancers=[
                    {
                        "targetGroupArn": self.groups[component].arn,
                        "containerName": component,
                        "containerPort": places[0].port,
                    }
                ],
            )
            service.created_at = self.start - timedelta(days=200)
            self.deployed(component, newest, self.start - DEPLOYED_BEFORE)
            self.fresh_tasks(component)

    def fresh_tasks(self, component: str) -> None:
        """The service's tasks as its rollout started them, and no others."""
        tasks = self.ecs.tasks.setdefault(CLUSTER, {})
        group = f"service:{SERVICES[component]}"
        for arn in [arn for arn, task in tasks.items() if task.group == group]:
            del tasks[arn]
        service = self.service(component)
        definition = self.ecs.describe_task_definition(service.task_definition)
        for place in self.settings.tasks[component]:
            self.task(component, place, definition, self.start - DEPLOYED_BEFORE)
        service.running_count = len(self.settings.tasks[component])

    def task_definition(self, component: str, commit: str, at: datetime) -> TaskDefinition:
        """Register one more revision."""
        environment = dict(self.settings.environment[component]) | {"GIT_COMMIT": commit}
        container: dict[str, JsonValue] = {
            "name": component,
            "image": image(component, commit),
            "cpu": 256,
            "memory": 512,
            "essential": True,
            "portMappings": [{"containerPort": self.settings.tasks[component][0].port, "protocol": "tcp"}],
            "environment": [{"name": key, "value": value} for key, value in environment.items()],
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": log_group(component),
                    "awslogs-region": REGION,
                    "awslogs-stream-prefix": component,
                },
            },
        }
        if component in ("api", "mlflow"):
            arn = secretsmanager_backends[ACCOUNT][REGION].secrets[DATABASE_SECRET].arn
            container["secrets"] = [{"name": "DATABASE_PASSWORD", "valueFrom": f"{arn}:password::"}]
        definition: Any = self.ecs.register_task_definition(
            SERVICES[component],
            [container],
            requires_compatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            execution_role_arn=f"arn:aws:iam::{ACCOUNT}:role/hokusai-execution-development",
        )
        definition.registered_at = at
        registered: TaskDefinition = definition
        return registered

    def service(self, component: str) -> Any:
        """The ECS service of a component, as moto keeps it."""
        return self.ecs.services[f"{CLUSTER}:{SERVICES[component]}"]

    def deployed(self, component: str, definition: TaskDefinition, at: datetime) -> None:
        """One finished rollout of a revision is what the service shows."""
        service = self.service(component)
        service.task_definition = definition.arn
        service.running_count = service.desired_count
        service.pending_count = 0
        number = f"{int(at.timestamp() * 1000)}{definition.revision}"
        service.deployments = [
            {
                "id": f"ecs-svc/{number}",
                "status": "PRIMARY",
                "taskDefinition": definition.arn,
                "desiredCount": service.desired_count,
                "runningCount": service.desired_count,
                "pendingCount": 0,
                "failedTasks": 0,
                "createdAt": at,
                "updatedAt": at + timedelta(minutes=3),
                "launchType": "FARGATE",
                "rolloutState": "COMPLETED",
                "rolloutStateReason": f"ECS deployment ecs-svc/{number} completed.",
            }
        ]
        message = f"(service {SERVICES[component]}) has reached a steady state."
        service.events = [
            {"id": f"event-{number}", "createdAt": at + timedelta(minutes=3), "message": message}
        ]

    def task(self, component: str, place: Placed, definition: TaskDefinition, at: datetime) -> PlacedTask:
        """One running task of a service; made without moto's networks, which the sandbox has none of."""
        mode, definition.network_mode = definition.network_mode, "bridge"
        try:
            task = PlacedTask(
                self.ecs.clusters[CLUSTER],
                definition,
                None,
                None,
                self.ecs,
                group=f"service:{SERVICES[component]}",
                launch_type="FARGATE",
                started_by=f"ecs-svc/{component}",
            )
        finally:
            definition.network_mode = mode
        task.process = place.process
        task.last_status = task.desired_status = "RUNNING"
        task.created_at = at
        task.started_at = at + timedelta(seconds=40)
        task.health_status = "HEALTHY"
        task.cpu, task.memory, task.version = definition.cpu, definition.memory, 1
        task.attachments = [
            {
                "id": f"eni-{task.id}",
                "type": "ElasticNetworkInterface",
                "status": "ATTACHED",
                "details": [
                    {"name": "subnetId", "value": SUBNETS[0]},
                    {"name": "privateIPv4Address", "value": place.address},
                ],
            }
        ]
        container: Any = task.containers[0]
        container.task_arn = task.task_arn
        container.last_status = "RUNNING"
        container.exitCode = None
        container.image_digest = f"sha256:{hashlib.sha256(container.image.encode()).hexdigest()}"
        container.network_interfaces = [{"privateIpv4Address": place.address}]
        self.ecs.tasks.setdefault(CLUSTER, {})[task.task_arn] = task
        return task

    def tasks(self, component: str, *, status: str = "RUNNING") -> list[PlacedTask]:
        """The tasks of a component with this desired status."""
        group = f"service:{SERVICES[component]}"
        return [
            task
            for task in self.ecs.tasks.get(CLUSTER, {}).values()
            if isinstance(task, PlacedTask) and task.group == group and task.desired_status == status
        ]

    def _names(self) -> None:
        discovery = servicediscovery_backends[ACCOUNT][REGION]
        discovery.create_private_dns_namespace(NAMESPACE, "sandbox", "", "vpc-sandbox", [], {})
        namespace = next(iter(discovery.namespaces.values()))
        self.discovery = discovery
        for component, places in self.settings.tasks.items():
            service = discovery.create_service(
                name=component,
                namespace_id=namespace.id,
                creator_request_id=component,
                description="",
                dns_config={
                    "NamespaceId": namespace.id,
                    "RoutingPolicy": "MULTIVALUE",
                    "DnsRecords": [{"Type": "A", "TTL": 10}],
                },
                health_check_config={},
                health_check_custom_config={"FailureThreshold": 1},
                tags=[],
                service_type="DNS",
            )
            for place in places:
                discovery.register_instance(
                    service.id,
                    place.process,
                    place.process,
                    {"AWS_INSTANCE_IPV4": place.address, "AWS_INSTANCE_PORT": str(place.port)},
                )
