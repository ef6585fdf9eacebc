"""Each AWS check passes on a healthy account, and a state of AWS turns it red, with the fact that
tells the cause. A check that can't fail proves nothing."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from hokusai_sandbox import certificates
from hokusai_validation.facts import FactKind
from hokusai_validation.result import Status
from hokusai_validation.suite.test_aws import TestCloudWatch as CloudWatch
from hokusai_validation.suite.test_discovery import TestBalancing as Balancing
from hokusai_validation.suite.test_discovery import TestCloudMap as CloudMap
from hokusai_validation.suite.test_discovery import TestEcs as Ecs
from hokusai_validation.suite.test_discovery import TestStores as Stores
from hokusai_validation.suite.test_environment import TestCredentials as Credentials
from hokusai_validation.suite.test_environment import TestNames as Names
from hokusai_validation.suite.test_infrastructure import TestAlerts as Alerts
from hokusai_validation.suite.test_infrastructure import TestInfrastructure as Infrastructure
from hokusai_validation.suite.test_provenance import TestParity as Parity
from hokusai_validation.suite.test_provenance import TestProvenance as Provenance
from hokusai_validation.target import EcsService, Target
from hokusai_validation_tests.suite_aws.cloud import Cloud, FixedApi, judge

Check = Callable[..., None]

CHECKS: dict[str, Check] = {
    "identity": Credentials().test_aws_identity,
    "public names": Names().test_public_names_resolve,
    "private names": Names().test_private_names_resolve,
    "parity": Parity().test_task_definitions_as_declared,
    "database user": Parity().test_database_user_configured,
    "deployments": Provenance().test_deployments_recorded,
    "newest definition": Provenance().test_running_newest_task_definition,
    "secret age": Provenance().test_secrets_older_than_tasks,
    "commit": Provenance().test_commit_is_expected,
    "services": Ecs().test_services_active,
    "tasks": Ecs().test_tasks_running,
    "names registered": CloudMap().test_names_registered,
    "names lead": CloudMap().test_names_lead_to_running_tasks,
    "balancers": Balancing().test_load_balancers_active,
    "target health": Balancing().test_target_health,
    "routes": Balancing().test_routes_reach_right_group,
    "http redirect": Balancing().test_http_is_redirected,
    "certificates": Balancing().test_listener_certificates,
    "rds": Stores().test_rds_available,
    "cache": Stores().test_cache_available,
    "bucket": Stores().test_bucket_exists,
    "secret": Stores().test_database_secret,
    "logs": Stores().test_log_groups,
    "ecs auth": Infrastructure().test_ecs_auth,
    "ecs api": Infrastructure().test_ecs_api,
    "ecs mlflow": Infrastructure().test_ecs_mlflow,
    "restarts": Alerts().test_no_task_restarted,
    "service metrics": CloudWatch().test_services_are_measured,
    "database metrics": CloudWatch().test_database_is_measured,
}


@dataclass(frozen=True)
class Red:
    """A state and the check that it turns red, with the fact."""

    state: str
    values: dict[str, object]
    check: str
    kind: FactKind
    component: str
    also: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return f"{self.state} {self.check}"


RED = (
    Red("rollout_failed", {"component": "api"}, "services", FactKind.ROLLOUT_FAILED, "api"),
    Red("running_count", {"component": "api", "running": 1}, "tasks", FactKind.SERVICE_BELOW_DESIRED, "api"),
    Red("running_count", {"component": "api", "running": 1}, "ecs api", FactKind.SERVICE_BELOW_DESIRED, "api"),
    Red("running_count", {"component": "auth", "running": 0}, "ecs auth", FactKind.SERVICE_BELOW_DESIRED, "auth"),
    Red("running_count", {"component": "mlflow", "running": 0}, "ecs mlflow", FactKind.SERVICE_BELOW_DESIRED, "mlflow"),
    Red("task_restarted", {"component": "mlflow"}, "restarts", FactKind.TASK_RESTARTED, "mlflow"),
    Red("target_unhealthy", {"component": "api"}, "target health", FactKind.TARGET_UNHEALTHY, "api"),
    Red("target_unhealthy", {"component": "api", "count": 1}, "target health", FactKind.TARGET_UNHEALTHY, "api"),
    Red("targets_missing", {"component": "auth"}, "target health", FactKind.TARGET_UNHEALTHY, "auth"),
    Red("wrong_listener_rule", {"path": "/api/mlflow/*", "component": "mlflow"}, "routes", FactKind.WRONG_TARGET_GROUP, "load_balancer"),
    Red("wrong_listener_rule", {"path": "/mlflow/*", "component": "mlflow"}, "routes", FactKind.WRONG_TARGET_GROUP, "load_balancer"),
    Red("wrong_default_action", {"component": "mlflow"}, "routes", FactKind.WRONG_TARGET_GROUP, "load_balancer"),
    Red("task_definition_old", {"component": "api"}, "newest definition", FactKind.TASK_DEFINITION_OLD, "api"),
    Red("environment_differs", {"component": "api", "name": "DATABASE_USER", "value": "postgres"}, "database user", FactKind.WRONG_DATABASE_USER, "postgres"),
    Red("environment_differs", {"component": "api", "name": "DATABASE_NAME", "value": "other"}, "parity", FactKind.CONFIGURATION_DIFFERS, "api"),
    Red("environment_differs", {"component": "api", "name": "DATABASE_NAME", "value": None}, "parity", FactKind.CONFIGURATION_DIFFERS, "api"),
    Red("secret_changed", {}, "secret age", FactKind.SECRET_NEWER_THAN_TASKS, "api"),
    Red("secret_changed", {"password": "another-one"}, "secret age", FactKind.SECRET_NEWER_THAN_TASKS, "mlflow"),
    Red("name_missing", {"component": "mlflow"}, "names registered", FactKind.NAME_NOT_RESOLVED, "mlflow"),
    Red("name_missing", {"component": "mlflow"}, "private names", FactKind.NAME_NOT_RESOLVED, "service_discovery"),
    Red("name_stale", {"component": "mlflow"}, "names lead", FactKind.NAME_STALE, "mlflow"),
    Red("rds_status", {"status": "stopped"}, "rds", FactKind.DATABASE_NOT_AVAILABLE, "postgres"),
)  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_passes_on_a_healthy_account(cloud: Cloud, name: str) -> None:
    seen = judge(CHECKS[name], cloud)
    assert (seen.status, seen.message, seen.facts) == (Status.PASSED, "", ())


@pytest.mark.parametrize("red", RED, ids=str)
def test_a_state_turns_it_red(cloud: Cloud, red: Red) -> None:
    with cloud.state(red.state, **red.values):
        seen = judge(CHECKS[red.check], cloud)
    assert seen.status is Status.FAILED, seen.message
    assert (red.kind, red.component) in {(fact.kind, fact.component) for fact in seen.facts}
    assert judge(CHECKS[red.check], cloud).status is Status.PASSED


@pytest.mark.parametrize(
    ("check", "changes", "kind", "component"),
    [
        ("identity", {"account_id": "999999999999"}, FactKind.AWS_CREDENTIALS_REFUSED, "service_discovery"),
        ("balancers", {"load_balancers": ("gone",)}, None, ""),
        ("rds", {"rds_instance": "gone"}, None, ""),
        ("cache", {"elasticache_cluster": "gone"}, FactKind.SERVICE_UNHEALTHY, "redis"),
        ("bucket", {"bucket": "gone"}, FactKind.ARTIFACT_STORE_FAILED, "artifacts"),
        ("secret", {"database_secret": "gone"}, FactKind.CONFIGURATION_DIFFERS, "secrets"),
        ("names registered", {"discovery_names": {"mlflow": "gone"}}, FactKind.NAME_NOT_RESOLVED, "mlflow"),
        ("names registered", {"namespace": "gone.local"}, None, ""),
        ("database metrics", {"rds_instance": "gone"}, FactKind.CONFIGURATION_DIFFERS, "postgres"),
    ],
)
def test_what_is_not_there_is_red(
    cloud: Cloud, check: str, changes: dict[str, object], kind: FactKind | None, component: str
) -> None:
    seen = judge(CHECKS[check], cloud, cloud.changed(**changes))
    assert seen.status is Status.FAILED, seen.message
    if kind is not None:
        assert (kind, component) in {(fact.kind, fact.component) for fact in seen.facts}


def other_services(target: Target, **changes: object) -> dict[str, EcsService]:
    assert target.aws is not None
    return {**target.aws.services, "api": target.aws.services["api"].model_copy(update=changes)}


@pytest.mark.parametrize("check", ["services", "tasks", "ecs api", "service metrics"])
def test_a_service_that_is_gone_is_red(cloud: Cloud, check: str) -> None:
    target = cloud.changed(services=other_services(cloud.target, service="gone"))
    seen = judge(CHECKS[check], cloud, target)
    assert seen.status is Status.FAILED, seen.message
    assert "gone" in seen.message


def test_a_secret_in_the_clear_is_red_and_not_shown(cloud: Cloud) -> None:
    value = "s3cret-in-the-clear"
    target = cloud.changed(services=other_services(cloud.target, secrets=("DB_PASSWORD",)))
    with cloud.state("environment_differs", component="api", name="DB_PASSWORD", value=value):
        seen = judge(CHECKS["parity"], cloud, target)
    assert seen.status is Status.FAILED
    assert "DB_PASSWORD stands in the clear" in seen.message
    assert value not in seen.message
    assert value not in str(seen.evidence.values)
    assert not any(value in fact.seen for fact in seen.facts)


def test_a_deployment_without_tasks_is_incomplete(cloud: Cloud) -> None:
    with cloud.state("running_count", component="mlflow", running=0):
        seen = judge(CHECKS["deployments"], cloud)
    assert seen.status is Status.FAILED
    assert "mlflow has no running task" in seen.message


def test_deployments_are_on_record(cloud: Cloud) -> None:
    from hokusai_validation.report import Deployment

    seen = judge(CHECKS["deployments"], cloud)
    recorded = seen.evidence.values["deployment"]
    assert isinstance(recorded, list)
    found = {each.component: each for each in map(Deployment.model_validate, recorded)}
    assert set(found) == {"api", "auth", "mlflow"}
    api = found["api"]
    assert api.commit == FixedApi().commit
    assert api.image is not None
    assert api.image_digest is not None
    assert api.deployed_at is not None
    assert api.task_definition is not None
    assert list(api.secret_versions) == ["hokusai/database/credentials"]


def test_another_commit_is_red_and_says_since_when(cloud: Cloud) -> None:
    seen = judge(CHECKS["commit"], cloud, registry=FixedApi("a" * 40))
    assert seen.status is Status.FAILED
    assert seen.message.startswith("the fix is not deployed: registry runs aaaaaaaaaaaa since 20")
    assert [fact.kind for fact in seen.facts] == [FactKind.COMMIT_UNEXPECTED]


def test_a_plain_http_listener_that_answers_is_red(cloud: Cloud) -> None:
    elb = cloud.client("elbv2")
    balancer = elb.describe_load_balancers(Names=["hokusai-registry-development"])["LoadBalancers"][0]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    plain = next(item for item in listeners if item["Protocol"] == "HTTP")
    fixed = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}]
    elb.modify_listener(ListenerArn=plain["ListenerArn"], DefaultActions=fixed)
    try:
        seen = judge(CHECKS["http redirect"], cloud)
    finally:
        elb.modify_listener(ListenerArn=plain["ListenerArn"], DefaultActions=plain["DefaultActions"])
    assert seen.status is Status.FAILED
    assert (FactKind.CONFIGURATION_DIFFERS, "load_balancer") in {(f.kind, f.component) for f in seen.facts}
    assert judge(CHECKS["http redirect"], cloud).status is Status.PASSED


def test_a_certificate_that_expires_soon_is_red(cloud: Cloud) -> None:
    elb, acm = cloud.client("elbv2"), cloud.client("acm")
    made = certificates.make(days=5)
    arn = acm.import_certificate(Certificate=made.certificate.encode(), PrivateKey=made.key.encode())[
        "CertificateArn"
    ]
    balancer = elb.describe_load_balancers(Names=["hokusai-auth-development"])["LoadBalancers"][0]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    secure = next(item for item in listeners if item["Protocol"] == "HTTPS")
    elb.modify_listener(ListenerArn=secure["ListenerArn"], Certificates=[{"CertificateArn": arn}])
    try:
        seen = judge(CHECKS["certificates"], cloud)
    finally:
        elb.modify_listener(ListenerArn=secure["ListenerArn"], Certificates=secure["Certificates"])
    assert seen.status is Status.FAILED
    assert [fact.kind for fact in seen.facts] == [FactKind.CERTIFICATE_EXPIRING]


def test_a_secret_on_its_way_out_is_red(cloud: Cloud) -> None:
    client = cloud.client("secretsmanager")
    client.delete_secret(SecretId="hokusai/database/credentials", RecoveryWindowInDays=7)
    try:
        seen = judge(CHECKS["secret"], cloud)
    finally:
        client.restore_secret(SecretId="hokusai/database/credentials")
    assert seen.status is Status.FAILED
    assert judge(CHECKS["secret"], cloud).status is Status.PASSED


def test_a_log_group_without_lines_is_red(cloud: Cloud) -> None:
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName="/ecs/silent")
    target = cloud.changed(services=other_services(cloud.target, log_group="/ecs/silent"))
    missing = cloud.changed(services=other_services(cloud.target, log_group="/ecs/nowhere"))
    assert "/ecs/silent has no line" in judge(CHECKS["logs"], cloud, target).message
    assert "/ecs/nowhere is not there" in judge(CHECKS["logs"], cloud, missing).message


def test_unreachable_instances_are_told_by_kind(cloud: Cloud) -> None:
    """Nothing listens behind the registered addresses: refused, not timed out."""
    seen = judge(CloudMap().test_instances_reachable, cloud)
    assert seen.status is Status.FAILED
    assert (FactKind.REFUSED, "mlflow") in {(fact.kind, fact.component) for fact in seen.facts}


def test_reachable_instances_pass(cloud: Cloud) -> None:
    target = cloud.changed(discovery_names={"mlflow": "mlflow"})
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", cloud.plan.ports["mlflow"]))
        listener.listen()
        assert judge(CloudMap().test_instances_reachable, cloud, target).status is Status.PASSED
