"""The resources of the service contract, written straight into moto's backends: the same objects
that its API would make, without the time that forty calls of it take."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.acm.models import acm_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.ecs.models import EC2ContainerServiceBackend, Task, ecs_backends
from moto.elasticache.models import elasticache_backends
from moto.elbv2.models import ELBv2Backend, FakeTargetGroup, elbv2_backends
from moto.logs.models import logs_backends
from moto.rds.models import rds_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.servicediscovery.models import servicediscovery_backends
from moto.sns.models import sns_backends

from hokusai_validation.sandbox.aws.log_lines import LogFiles
from hokusai_validation.sandbox.aws.resources_names import (
    HEALTH_PATHS,
    LOAD_BALANCERS,
    SERVICES,
    TARGET_GROUPS,
    TOPIC,
    log_group,
)
from hokusai_validation.sandbox.aws.settings import AwsSettings, Placed
from hokusai_validation.sandbox.plan import (
    ACCOUNT,
    BUCKET,
    CLUSTER,
    DATABASE,
    DATABASE_SECRET,
    DATABASE_USER,
    ELASTICACHE_CLUSTER,
    HOSTS,
    NAMESPACE,
    RDS_INSTANCE,
    REGION,
)

DEPLOYED_BEFORE = timedelta(hours=2)
SUBNETS = ("subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002")


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
        self._data()
        self._balancing()
        self._services()
        self._names()
        self._logs_and_metrics()

    def _data(self) -> None:
        settings = self.settings
        s3_backends[ACCOUNT]["aws"].create_bucket(BUCKET, REGION)
        secrets = secretsmanager_backends[ACCOUNT][REGION]
        secrets.create_secret(
            name=DATABASE_SECRET,
            secret_string=json.dumps(dict(settings.secret)),
            secret_binary=None,
            description="MLflow's database login",
            tags=[],
            kms_key_id=None,
            client_request_token=None,
            replica_regions=[],
            force_overwrite=False,
        )
        secret: Any = secrets.secrets[DATABASE_SECRET]
        long_ago = int((self.start - timedelta(days=30)).timestamp())
        secret.created_date = secret.last_changed_date = long_ago
        for version in secret.versions.values():
            version["createdate"] = long_ago
        database = rds_backends[ACCOUNT][REGION].create_db_instance(
            {
                "db_instance_identifier": RDS_INSTANCE,
                "db_instance_class": "db.t3.micro",
                "engine": "postgres",
                "engine_version": "18.0",
                "allocated_storage": 20,
                "master_username": DATABASE_USER,
                "master_user_password": str(settings.secret["password"]),
                "db_name": DATABASE,
                "port": settings.database_port,
                "publicly_accessible": False,
            }
        )
        database.status = "available"
        self.database = database
        cache: dict[str, Any] = dict.fromkeys(
            [
                "replication_group_id",
                "az_mode",
                "preferred_availability_zone",
                "cache_parameter_group_name",
                "cache_subnet_group_name",
                "transit_encryption_enabled",
                "network_type",
                "ip_discovery",
                "snapshot_name",
                "preferred_maintenance_window",
                "notification_topic_arn",
                "auto_minor_version_upgrade",
                "snapshot_retention_limit",
                "snapshot_window",
                "auth_token",
                "outpost_mode",
                "preferred_outpost_arn",
            ]
        )
        cache |= {
            name: []
            for name in [
                "preferred_availability_zones",
                "cache_security_group_names",
                "security_group_ids",
                "tags",
                "snapshot_arns",
                "preferred_outpost_arns",
                "log_delivery_configurations",
                "cache_node_ids_to_remove",
                "cache_node_ids_to_reboot",
            ]
        }
        cluster = elasticache_backends[ACCOUNT][REGION].create_cache_cluster(
            **cache,
            cache_cluster_id=ELASTICACHE_CLUSTER,
            num_cache_nodes=1,
            cache_node_type="cache.t3.micro",
            engine="redis",
            engine_version="6.2",
            port=settings.redis_port,
        )
        cluster.cache_cluster_status = "available"
        sns_backends[ACCOUNT][REGION].create_topic(TOPIC)

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

    def forward(self, component: str) -> dict[str, Any]:
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

    def task_definition(self, component: str, commit: str, at: datetime) -> Any:
        """Register one more revision."""
        environment = dict(self.settings.environment[component]) | {"GIT_COMMIT": commit}
        container: dict[str, Any] = {
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
        return definition

    def service(self, component: str) -> Any:
        """The ECS service of a component, as moto keeps it."""
        return self.ecs.services[f"{CLUSTER}:{SERVICES[component]}"]

    def deployed(self, component: str, definition: Any, at: datetime) -> None:
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

    def task(self, component: str, place: Placed, definition: Any, at: datetime) -> Any:
        """One running task of a service; made without moto's networks, which the sandbox has none of."""
        mode, definition.network_mode = definition.network_mode, "bridge"
        try:
            task: Any = Task(
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
        container = task.containers[0]
        container.task_arn = task.task_arn
        container.last_status = "RUNNING"
        container.exitCode = None
        container.image_digest = f"sha256:{hashlib.sha256(container.image.encode()).hexdigest()}"
        container.network_interfaces = [{"privateIpv4Address": place.address}]
        self.ecs.tasks.setdefault(CLUSTER, {})[task.task_arn] = task
        return task

    def tasks(self, component: str, *, status: str = "RUNNING") -> list[Any]:
        """The tasks of a component with this desired status."""
        group = f"service:{SERVICES[component]}"
        return [
            task
            for task in self.ecs.tasks.get(CLUSTER, {}).values()
            if task.group == group and task.desired_status == status
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

    def _logs_and_metrics(self) -> None:
        logs = logs_backends[ACCOUNT][REGION]
        now = datetime.now(UTC)
        for component in SERVICES:
            group = log_group(component)
            stream = f"{component}/{component}/1"
            logs.create_log_group(group, {})
            logs.groups[group].retention_in_days = 30
            logs.create_log_stream(group, stream)
            logs.put_log_events(
                group,
                stream,
                [{"timestamp": int(now.timestamp() * 1000), "message": f"{component}: started"}],
            )
        LogFiles(
            logs, {log_group(component): paths for component, paths in self.settings.log_files.items()}
        ).install()
        for minute in range(60):
            measure(now - timedelta(minutes=minute))


def measure(at: datetime) -> None:
    """One minute's values of every metric that the stack has."""
    backend = cloudwatch_backends[ACCOUNT][REGION]
    services: list[dict[str, Any]] = []
    for service in SERVICES.values():
        dimensions = {"ClusterName": CLUSTER, "ServiceName": service}
        services += [
            _metric("CPUUtilization", 12.0, "Percent", at, dimensions),
            _metric("MemoryUtilization", 38.0, "Percent", at, dimensions),
        ]
    dimensions = {"DBInstanceIdentifier": RDS_INSTANCE}
    database = [
        _metric("CPUUtilization", 7.0, "Percent", at, dimensions),
        _metric("DatabaseConnections", 15.0, "Count", at, dimensions),
        _metric("FreeableMemory", 512.0 * 1024 * 1024, "Bytes", at, dimensions),
        _metric("FreeStorageSpace", 14.0 * 1024**3, "Bytes", at, dimensions),
    ]
    backend.put_metric_data("AWS/ECS", services)
    backend.put_metric_data("AWS/RDS", database)


def _metric(name: str, value: float, unit: str, at: datetime, dimensions: dict[str, str]) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Value": value,
        "Unit": unit,
        "Timestamp": at.replace(tzinfo=None),  # moto compares times without zone
        "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
    }
