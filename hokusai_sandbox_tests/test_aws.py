"""AWS in the sandbox: the contract's resources are all there, they show what really happens, and
each state that can be set is seen through AWS's own API and is undone again."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from hokusai_sandbox.plan import BUCKET, CLUSTER, DATABASE_SECRET, NAMESPACE, RDS_INSTANCE
from hokusai_sandbox.stack import Stack
from hokusai_sandbox_tests.aids import Cloud, Sandbox, eventually

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def up(sandbox: Stack) -> Sandbox:
    found = Sandbox(sandbox)
    found.control("POST", "/reset")
    found.until_healthy()
    return found


@pytest.fixture(scope="module")
def clients(up: Sandbox) -> Cloud:
    return Cloud(up)


@pytest.fixture
def cloud(clients: Cloud) -> Cloud:
    """As it is registered at start: processes that other tests killed have left their traces."""
    clients.up.control("POST", "/reset")
    return clients


def test_who_we_are(cloud: Cloud) -> None:
    assert cloud.sts.get_caller_identity()["Account"] == cloud.names.account_id


def test_other_keys_are_refused(cloud: Cloud) -> None:
    stranger = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=cloud.names.endpoint_url,
        aws_access_key_id="somebody-elses-key-id",
        aws_secret_access_key="wrong",
    )
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        stranger.get_caller_identity()


@pytest.mark.parametrize(("component", "count"), [("api", 2), ("auth", 1), ("mlflow", 1)])
def test_services_run_at_their_count_since_a_finished_rollout(
    cloud: Cloud, component: str, count: int
) -> None:
    service = cloud.service(component)
    assert (service["desiredCount"], service["runningCount"], service["pendingCount"]) == (count, count, 0)
    (deployment,) = service["deployments"]
    assert deployment["rolloutState"] == "COMPLETED"
    assert deployment["status"] == "PRIMARY"
    tasks = cloud.tasks(component)
    assert len(tasks) == count
    for task in tasks:
        assert task["lastStatus"] == "RUNNING"
        assert task["taskDefinitionArn"] == service["taskDefinition"]
        assert task["startedAt"] < datetime.now(UTC) - timedelta(hours=1)
        assert task["containers"][0]["imageDigest"].startswith("sha256:")
    definition = cloud.ecs.describe_task_definition(taskDefinition=service["taskDefinition"])
    (container,) = definition["taskDefinition"]["containerDefinitions"]
    declared = {item["name"]: item["value"] for item in container["environment"]}
    for name, value in cloud.names.services[component].environment.items():
        assert declared[name] == value
    assert {item["name"] for item in container.get("secrets", [])} == set(
        cloud.names.services[component].secrets
    )


def test_tasks_do_not_change_by_being_looked_at(cloud: Cloud) -> None:
    for _ in range(10):
        assert {task["lastStatus"] for task in cloud.tasks("api")} == {"RUNNING"}


def test_both_load_balancers_with_listeners_rules_and_certificate(cloud: Cloud) -> None:
    balancers = cloud.elbv2.describe_load_balancers(Names=list(cloud.names.load_balancers))["LoadBalancers"]
    assert len(balancers) == 2
    for balancer in balancers:
        assert balancer["State"]["Code"] == "active"
        listeners = cloud.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        by_protocol = {item["Protocol"]: item for item in listeners}
        assert set(by_protocol) == {"HTTP", "HTTPS"}
        assert by_protocol["HTTP"]["DefaultActions"][0]["Type"] == "redirect"
        arn = by_protocol["HTTPS"]["Certificates"][0]["CertificateArn"]
        certificate = cloud.acm.describe_certificate(CertificateArn=arn)["Certificate"]
        assert certificate["Status"] == "ISSUED"
        rules = cloud.elbv2.describe_rules(ListenerArn=by_protocol["HTTPS"]["ListenerArn"])["Rules"]
        assert len(rules) >= 2


@pytest.mark.parametrize("component", ["api", "auth", "mlflow"])
def test_every_target_is_registered_and_healthy(cloud: Cloud, component: str) -> None:
    eventually(lambda: set(cloud.health(component)) == {"healthy"}, what="targets healthy")


def test_the_names_of_cloud_map(cloud: Cloud) -> None:
    spaces = cloud.servicediscovery.list_namespaces()["Namespaces"]
    assert [item["Name"] for item in spaces] == [NAMESPACE]
    services = cloud.servicediscovery.list_services()["Services"]
    counts = {
        item["Name"]: len(cloud.servicediscovery.list_instances(ServiceId=item["Id"])["Instances"])
        for item in services
    }
    assert counts == {"api": 2, "auth": 1, "mlflow": 1}


def test_the_stores(cloud: Cloud) -> None:
    (database,) = cloud.rds.describe_db_instances(DBInstanceIdentifier=RDS_INSTANCE)["DBInstances"]
    assert database["DBInstanceStatus"] == "available"
    assert (database["MasterUsername"], database["DBName"]) == ("mlflow", "mlflow_db")
    postgres = cloud.up.status["services"]["postgres"]["address"]
    assert f"{database['Endpoint']['Address']}:{database['Endpoint']['Port']}" == postgres
    (cache,) = cloud.elasticache.describe_cache_clusters(
        CacheClusterId=cloud.names.elasticache_cluster, ShowCacheNodeInfo=True
    )["CacheClusters"]
    assert cache["CacheClusterStatus"] == "available"
    cloud.s3.head_bucket(Bucket=BUCKET)
    secret = cloud.secret()
    assert secret["LastChangedDate"] < datetime.now(UTC) - timedelta(days=1)
    versions = cloud.secretsmanager.list_secret_version_ids(SecretId=DATABASE_SECRET)["Versions"]
    assert [item["CreatedDate"] for item in versions] == [secret["LastChangedDate"]]


def test_the_secret_opens_the_database(cloud: Cloud) -> None:
    import json

    import psycopg2

    value = cloud.secretsmanager.get_secret_value(SecretId=DATABASE_SECRET, VersionStage="AWSCURRENT")
    login = json.loads(value["SecretString"])
    connection = psycopg2.connect(
        host=login["host"],
        port=login["port"],
        user=login["username"],
        password=login["password"],
        dbname=login["dbname"],
        connect_timeout=5,
    )
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("select current_user, count(*) from alembic_version")
        assert cursor.fetchone() == ("mlflow", 1)


def test_metrics_and_logs(cloud: Cloud) -> None:
    now = datetime.now(UTC)
    for namespace, name, dimensions in (
        ("AWS/ECS", "CPUUtilization", {"ClusterName": CLUSTER, "ServiceName": "hokusai-api-development"}),
        ("AWS/ECS", "MemoryUtilization", {"ClusterName": CLUSTER, "ServiceName": "hokusai-api-development"}),
        ("AWS/RDS", "DatabaseConnections", {"DBInstanceIdentifier": RDS_INSTANCE}),
    ):
        found = cloud.cloudwatch.get_metric_statistics(
            Namespace=namespace,
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - timedelta(minutes=30),
            EndTime=now,
            Period=60,
            Statistics=["Average"],
        )["Datapoints"]
        assert len(found) >= 20, name
    for service in cloud.names.services.values():
        group = service.log_group
        assert cloud.logs.filter_log_events(logGroupName=group)["events"], group


# --- states

Look = Callable[[Cloud], Any]


@pytest.mark.parametrize(
    ("state", "values", "look", "clean", "broken"),
    [
        (
            "rollout_failed",
            {"component": "api"},
            lambda c: c.service("api")["deployments"][0]["rolloutState"],
            "COMPLETED",
            "FAILED",
        ),
        (
            "rollout_in_progress",
            {"component": "auth"},
            lambda c: c.service("auth")["deployments"][0]["rolloutState"],
            "COMPLETED",
            "IN_PROGRESS",
        ),
        (
            "running_count",
            {"component": "api", "running": 1},
            lambda c: (c.service("api")["runningCount"], len(c.tasks("api"))),
            (2, 2),
            (1, 1),
        ),
        (
            "target_unhealthy",
            {"component": "api", "count": 1},
            lambda c: sorted(c.health("api")),
            ["healthy", "healthy"],
            ["healthy", "unhealthy"],
        ),
        (
            "task_definition_old",
            {"component": "mlflow"},
            lambda c: (
                c.service("mlflow")["taskDefinition"][-2:],
                c.tasks("mlflow")[0]["taskDefinitionArn"][-2:],
            ),
            (":2", ":2"),
            (":1", ":1"),
        ),
        (
            "rds_status",
            {"status": "storage-full"},
            lambda c: c.rds.describe_db_instances()["DBInstances"][0]["DBInstanceStatus"],
            "available",
            "storage-full",
        ),
        ("targets_missing", {"component": "auth"}, lambda c: c.health("auth"), ["healthy"], []),
        (
            "log_silent",
            {"component": "auth"},
            lambda c: len(c.logs.describe_log_groups(logGroupNamePrefix="/ecs/hokusai-auth")["logGroups"]),
            1,
            0,
        ),
    ],
)
def test_a_state_shows_and_is_undone(
    cloud: Cloud, state: str, values: dict[str, Any], look: Look, clean: object, broken: object
) -> None:
    eventually(lambda: look(cloud) == clean, what="clean before")
    with cloud.state(state, **values):
        assert look(cloud) == broken
    assert look(cloud) == clean


def test_a_restarted_task_leaves_a_stopped_one(cloud: Cloud) -> None:
    before = {task["taskArn"] for task in cloud.tasks("api")}
    with cloud.state("task_restarted", component="api"):
        now = cloud.tasks("api")
        assert len(now) == 2
        (new,) = [task for task in now if task["taskArn"] not in before]
        assert new["startedAt"] > datetime.now(UTC) - timedelta(minutes=5)
        (stopped,) = cloud.tasks("api", "STOPPED")
        assert "OutOfMemory" in stopped["stoppedReason"]
        assert stopped["containers"][0]["exitCode"] == 137
    assert {task["taskArn"] for task in cloud.tasks("api")} == before
    assert cloud.tasks("api", "STOPPED") == []


def test_a_deployment_is_a_new_revision_rolled_out_now(cloud: Cloud) -> None:
    before = cloud.service("api")
    with cloud.state("deployment", component="api", commit="a" * 40):
        now = cloud.service("api")
        assert now["taskDefinition"] != before["taskDefinition"]
        assert now["deployments"][0]["id"] != before["deployments"][0]["id"]
        assert now["deployments"][0]["createdAt"] > datetime.now(UTC) - timedelta(minutes=1)
        assert {task["taskDefinitionArn"] for task in cloud.tasks("api")} == {now["taskDefinition"]}
    assert cloud.service("api")["taskDefinition"] == before["taskDefinition"]
    newest = cloud.ecs.describe_task_definition(taskDefinition="hokusai-api-development")
    assert newest["taskDefinition"]["taskDefinitionArn"] == before["taskDefinition"]


def test_a_changed_secret_is_newer_than_the_tasks_and_the_old_one_stays(cloud: Cloud) -> None:
    import json

    def password(stage: str) -> str:
        value = cloud.secretsmanager.get_secret_value(SecretId=DATABASE_SECRET, VersionStage=stage)
        return str(json.loads(value["SecretString"])["password"])

    before = password("AWSCURRENT")
    started = cloud.tasks("mlflow")[0]["startedAt"]
    assert cloud.secret()["LastChangedDate"] < started
    with cloud.state("secret_changed", password="another-password-of-the-test"):
        assert cloud.secret()["LastChangedDate"] > started
        assert password("AWSCURRENT") == "another-password-of-the-test"
        assert password("AWSPREVIOUS") == before
    assert password("AWSCURRENT") == before
    assert cloud.secret()["LastChangedDate"] < started


def test_a_missing_permission_is_refused_by_its_action_alone(cloud: Cloud) -> None:
    with cloud.state("permission_missing", action="ecs:DescribeServices"):
        with pytest.raises(ClientError, match="AccessDenied"):
            cloud.service("api")
        assert cloud.tasks("api")
    with cloud.state("permission_missing", action="rds:*"), pytest.raises(ClientError, match="AccessDenied"):
        cloud.rds.describe_db_instances()
    assert cloud.rds.describe_db_instances()["DBInstances"]


def test_throttling_ends_after_so_many_calls(cloud: Cloud) -> None:
    with cloud.state("throttled", action="elasticloadbalancing:DescribeTargetGroups", times=2):
        for _ in range(2):
            with pytest.raises(ClientError, match="Throttling"):
                cloud.elbv2.describe_target_groups()
        assert cloud.elbv2.describe_target_groups()["TargetGroups"]


def test_another_environment_is_declared(cloud: Cloud) -> None:
    def declared() -> dict[str, str]:
        arn = cloud.service("api")["taskDefinition"]
        definition = cloud.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
        pairs = definition["containerDefinitions"][0]["environment"]
        return {item["name"]: item["value"] for item in pairs}

    before = declared()
    with cloud.state("environment_differs", component="api", name="DATABASE_USER", value="postgres"):
        assert declared() == before | {"DATABASE_USER": "postgres"}
    with cloud.state("environment_differs", component="api", name="DATABASE_USER", value=None):
        assert "DATABASE_USER" not in declared()
    assert declared() == before


def test_a_metric_can_be_high(cloud: Cloud) -> None:
    dimensions = {"DBInstanceIdentifier": RDS_INSTANCE}

    def newest() -> float:
        now = datetime.now(UTC)
        points = cloud.cloudwatch.get_metric_statistics(
            Namespace="AWS/RDS",
            MetricName="DatabaseConnections",
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        return float(max(points, key=lambda item: item["Timestamp"])["Maximum"])

    with cloud.state(
        "metric", namespace="AWS/RDS", name="DatabaseConnections", value=190.0, dimensions=dimensions
    ):
        assert newest() == 190.0
    assert newest() == 15.0


# --- what is registered is what happens


def test_a_wrong_listener_rule_really_misroutes(cloud: Cloud) -> None:
    def status() -> int:
        with cloud.up.client(key=True) as client:
            return client.get("/api/mlflow/health").status_code

    assert status() == 200
    with cloud.state("wrong_listener_rule", path="/api/mlflow/*", component="auth"):
        eventually(lambda: status() == 404, what="404 from the auth service")
        assert cloud.up.health()["status"] == "healthy"
    eventually(lambda: status() == 200, what="routed right again")


def test_redirects_go_where_the_listener_says(cloud: Cloud) -> None:
    import httpx

    def location() -> str:
        url = f"{cloud.up.status['http_url']}/version"
        answer = httpx.get(url, headers={"host": "registry.hokusai.test"}, trust_env=False)
        return answer.headers["location"]

    assert location().startswith("https://registry.hokusai.test:")
    with cloud.state("redirect_host", host="api.hokusai.test"):
        eventually(lambda: location().startswith("https://api.hokusai.test:"), what="the other host")
    eventually(lambda: location().startswith("https://registry.hokusai.test:"), what="its own host again")


def test_damaged_artifacts_differ_by_one_bit(cloud: Cloud) -> None:
    content = bytes(range(256)) * 40
    cloud.s3.put_object(Bucket=BUCKET, Key="a-test/of/damage", Body=content)

    def read() -> bytes:
        body: bytes = cloud.s3.get_object(Bucket=BUCKET, Key="a-test/of/damage")["Body"].read()
        return body

    with cloud.state("artifacts_damaged"):
        damaged = read()
        assert len(damaged) == len(content)
        assert sum((one ^ other).bit_count() for one, other in zip(damaged, content, strict=True)) == 1
    assert read() == content
    cloud.s3.delete_object(Bucket=BUCKET, Key="a-test/of/damage")


def test_without_registered_targets_the_balancer_answers_503(cloud: Cloud) -> None:
    def status() -> int:
        with cloud.up.client("auth.hokusai.test") as client:
            return client.get("/health").status_code

    with cloud.state("targets_missing", component="auth"):
        eventually(lambda: status() == 503, what="503 without targets")
    eventually(lambda: status() == 200, what="routed again")


def test_private_names_follow_what_is_registered(cloud: Cloud) -> None:
    from hokusai_validation.errors import NameNotResolved
    from hokusai_validation.resources.names import Resolver

    resolver = Resolver(cloud.up.target.dns.resolver)
    name = f"mlflow.{NAMESPACE}"

    def addresses() -> tuple[str, ...] | None:
        try:
            return resolver.addresses(name)
        except NameNotResolved:
            return None

    assert addresses() == ("127.0.0.1",)
    with cloud.state("name_missing", component="mlflow"):
        eventually(lambda: addresses() is None, what="the name gone")
    with cloud.state("name_stale", component="mlflow"):
        eventually(lambda: addresses() == ("127.0.0.99",), what="the stale address")
    eventually(lambda: addresses() == ("127.0.0.1",), what="the right address again")


def test_a_dead_instance_shows_in_ecs_and_in_its_target_group(cloud: Cloud) -> None:
    """Killed by word it is started again in its task; the balancer takes it out meanwhile."""
    arns = {task["taskArn"] for task in cloud.tasks("api")}
    before = cloud.up.process("api-2")
    cloud.up.control("POST", "/processes/api-2/kill", {"down_s": 2.5})
    eventually(lambda: cloud.service("api")["runningCount"] == 1, what="one running", limit_s=5)
    eventually(lambda: "unhealthy" in cloud.health("api"), what="its target unhealthy", limit_s=5)
    with cloud.up.client() as client:
        assert {client.get("/live").headers["x-instance"] for _ in range(4)} == {"api-1"}
    cloud.up.until_back("api-2", before["pid"])
    eventually(lambda: cloud.service("api")["runningCount"] == 2, what="both running")
    eventually(lambda: set(cloud.health("api")) == {"healthy"}, what="both healthy")
    assert {task["taskArn"] for task in cloud.tasks("api")} == arns


def test_a_process_that_died_by_itself_gets_a_new_task(cloud: Cloud) -> None:
    import signal

    import psutil

    (old,) = cloud.tasks("auth")
    before = cloud.up.process("auth")
    psutil.Process(before["pid"]).send_signal(signal.SIGKILL)
    cloud.up.until_back("auth", before["pid"])
    eventually(lambda: cloud.tasks("auth")[0]["taskArn"] != old["taskArn"], what="a new task")
    assert old["taskArn"] in {task["taskArn"] for task in cloud.tasks("auth", "STOPPED")}
    cloud.up.until_healthy()
