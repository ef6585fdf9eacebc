"""States of AWS that no stand-in makes, by answers as AWS documents them (held against its own model)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.probes.deployed import secret_state
from hokusai_validation.probes.target_groups import balancers_of, serving_groups
from hokusai_validation.resources.aws import states
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.aws.models import TargetHealth
from hokusai_validation.resources.aws.states import Works
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import Status
from hokusai_validation.suite.test_discovery import TestBalancing as Balancing
from hokusai_validation.suite.test_discovery import TestCloudMap as CloudMap
from hokusai_validation.suite.test_discovery import TestStores as Stores
from hokusai_validation.suite.test_provenance import TestProvenance as Provenance
from hokusai_validation.target import Target
from hokusai_validation_tests import judging
from hokusai_validation_tests.automation.test_controllers import (
    BLUE,
    GREEN,
    by_code_deploy,
    service,
    task_set,
)
from hokusai_validation_tests.aws_answers import Answer, DocumentedCalls
from hokusai_validation_tests.judging import Judgement

ACCOUNT = "us-east-1:123456789012"
BALANCER = f"arn:aws:elasticloadbalancing:{ACCOUNT}:loadbalancer/app/public/1"
OTHER = f"arn:aws:elasticloadbalancing:{ACCOUNT}:loadbalancer/app/other/2"
LISTENER = f"arn:aws:elasticloadbalancing:{ACCOUNT}:listener/app/public/1/443"
NAMES = {BLUE: "blue", GREEN: "green"}


def target(**aws: Any) -> Target:
    services = {"api": {"service": "api", "target_group": "blue"}}
    return Target.model_validate(
        {
            "name": "t",
            "endpoints": {"registry": "https://registry.test"},
            "aws": {"cluster": "c", "services": services, **aws},
        }
    )


def judge(check: Any, given: Target, answers: Mapping[str, Answer], **more: object) -> Judgement:
    aws = Aws(DocumentedCalls(answers), "c")
    fixtures: dict[str, object] = {"target": given, "secrets": Secrets(given), "aws": aws}
    return judging.judge(check, **(fixtures | more))


def group(arn: str) -> dict[str, Any]:
    return {
        "TargetGroupArn": arn,
        "TargetGroupName": NAMES[arn],
        "Protocol": "HTTP",
        "Port": 8001,
        "LoadBalancerArns": [BALANCER],
    }


def described_groups(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    wanted = [value for name, value in asked.items() if "member" in name]
    found = [group(arn) for arn in NAMES if arn in wanted or NAMES[arn] in wanted]
    return {"TargetGroups": found}


def balancing(
    described: dict[str, Any], *rules: dict[str, Any], health: Mapping[str, Any] | None = None
) -> dict[str, Answer]:
    """An account with a service, two target groups and a load balancer with rules; another one beside."""
    default = {"RuleArn": "d", "Priority": "default", "IsDefault": True, "Actions": [forward({BLUE: 1})]}
    return {
        "DescribeServices": {"services": [described]},
        "DescribeTargetGroups": described_groups,
        "DescribeTargetHealth": lambda asked: {
            "TargetHealthDescriptions": (health or {})[asked["TargetGroupArn"]]
        },
        "DescribeLoadBalancers": {
            "LoadBalancers": [
                {
                    "LoadBalancerArn": arn,
                    "LoadBalancerName": name,
                    "Type": "application",
                    "State": {"Code": code},
                }
                for arn, name, code in ((BALANCER, "public", "active"), (OTHER, "other", "failed"))
            ]
        },
        "DescribeListeners": {
            "Listeners": [
                {"ListenerArn": LISTENER, "Protocol": "HTTPS", "Port": 443, "LoadBalancerArn": BALANCER}
            ]
        },
        "DescribeRules": {"Rules": [*rules, default]},
    }


def forward(weights: Mapping[str, int]) -> dict[str, Any]:
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    return {"Type": "forward", "Order": 1, "ForwardConfig": {"TargetGroups": groups}}


def rule(weights: Mapping[str, int], **condition: Any) -> dict[str, Any]:
    return {"RuleArn": "r", "Priority": "1", "Conditions": [condition], "Actions": [forward(weights)]}


class NoNames:
    """A resolver that knows nothing."""

    def addresses(self, name: str, record: str = "A") -> tuple[str, ...]:
        from hokusai_validation.errors import NameNotResolved

        raise NameNotResolved(f"Name {name} does not exist.")


PATHS = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}
BLUE_GREEN = service(
    deploymentConfiguration={"strategy": "BLUE_GREEN"},
    loadBalancers=[
        {
            "targetGroupArn": BLUE,
            "containerName": "api",
            "containerPort": 8001,
            "advancedConfiguration": {
                "alternateTargetGroupArn": GREEN,
                "productionListenerRule": f"{LISTENER}-rule/1",
                "roleArn": "arn:aws:iam::123456789012:role/ecs",
            },
        }
    ],
)
ROLLING = service(loadBalancers=[{"targetGroupArn": BLUE, "containerName": "api", "containerPort": 8001}])
SHIFTED = by_code_deploy(task_set(2, "PRIMARY"))


@pytest.mark.parametrize(
    ("described", "weights", "status"),
    [
        (BLUE_GREEN, {BLUE: 100, GREEN: 0}, Status.PASSED),
        (BLUE_GREEN, {BLUE: 0, GREEN: 100}, Status.PASSED),
        (BLUE_GREEN, {BLUE: 90, GREEN: 10}, Status.PASSED),
        (SHIFTED, {GREEN: 100}, Status.PASSED),
        (ROLLING, {GREEN: 100}, Status.FAILED),
        (ROLLING, {BLUE: 90, GREEN: 10}, Status.FAILED),
    ],
)
def test_either_group_of_a_blue_green_deployment_is_right(
    described: dict[str, Any], weights: Mapping[str, int], status: Status
) -> None:
    answers = balancing(described, rule(weights, **PATHS))
    seen = judge(Balancing().test_routes_reach_right_group, target(), answers, resolver=NoNames())
    assert seen.status is status, seen.message


@pytest.mark.parametrize(
    ("condition", "weights", "status"),
    [
        ({"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}}, {GREEN: 1}, Status.BROKEN),
        ({"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}}, {BLUE: 1}, Status.PASSED),
        (
            {"Field": "path-pattern", "PathPatternConfig": {"RegexValues": ["(?i)^/HEALTH"]}},
            {GREEN: 1},
            Status.BROKEN,
        ),
        (
            {"Field": "path-pattern", "PathPatternConfig": {"RegexValues": ["^/health$"]}},
            {GREEN: 1},
            Status.FAILED,
        ),
        (
            {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X", "Values": ["*"]}},
            {GREEN: 1},
            Status.PASSED,
        ),
        (
            {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "a", "Value": "b"}]}},
            {GREEN: 1},
            Status.PASSED,
        ),
        (
            {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["POST"]}},
            {GREEN: 1},
            Status.PASSED,
        ),
    ],
)
def test_what_can_not_be_decided_is_not_judged(
    condition: dict[str, Any], weights: Mapping[str, int], status: Status
) -> None:
    answers = balancing(ROLLING, rule(weights, **condition))
    seen = judge(Balancing().test_routes_reach_right_group, target(), answers, resolver=NoNames())
    assert seen.status is status, seen.message


def test_only_the_load_balancers_that_lead_to_the_targets_groups_count() -> None:
    aws = Aws(DocumentedCalls(balancing(ROLLING)), "c")
    section = target().aws
    assert section is not None
    assert [each.name for each in balancers_of(section, aws)] == ["public"]
    assert [each.arn for each in serving_groups(section, aws)["api"]] == [BLUE]
    assert judge(Balancing().test_load_balancers_active, target(), balancing(ROLLING)).status is Status.PASSED


def health(*found: str) -> list[dict[str, Any]]:
    return [
        {"Target": {"Id": f"10.0.0.{number}", "Port": 8001}, "TargetHealth": {"State": state}}
        for number, state in enumerate(found, 1)
    ]


@pytest.mark.parametrize(
    ("blue", "green", "status"),
    [
        (["healthy", "healthy"], [], Status.PASSED),
        (["healthy", "initial"], [], Status.PASSED),
        (["healthy", "draining"], [], Status.PASSED),
        (["healthy"], ["unused"], Status.PASSED),
        (["unused"], ["healthy"], Status.PASSED),
        (["healthy", "unhealthy"], [], Status.FAILED),
        (["initial"], [], Status.FAILED),
        (["draining", "draining"], [], Status.FAILED),
        (["unhealthy.draining"], [], Status.FAILED),
        (["unused"], [], Status.FAILED),
        ([], [], Status.FAILED),
        (["unavailable"], [], Status.BROKEN),
        (["healthy", "unavailable"], [], Status.PASSED),
    ],
)
def test_every_state_of_a_target(blue: list[str], green: list[str], status: Status) -> None:
    described = {BLUE: health(*blue), GREEN: health(*green)}
    seen = judge(Balancing().test_target_health, target(), balancing(BLUE_GREEN, health=described))
    assert seen.status is status, seen.message


@given(
    st.lists(st.sampled_from(["healthy", "unhealthy", "initial", "draining", "unused", "unavailable", "new"]))
)
def test_no_targets_are_well_that_none_of_serves(found: list[str]) -> None:
    made = states.targets({"g": [TargetHealth(id="i", port=1, state=each) for each in found]})
    if "healthy" not in found:
        assert made.works is not Works.YES
    if "unhealthy" in found or "new" in found:
        assert made.works is Works.NO


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((each, Status.PASSED) for each in ("available", "backing-up", "modifying", "storage-optimization")),
        *((each, Status.PASSED) for each in ("configuring-enhanced-monitoring", "storage-initialization")),
        *((each, Status.FAILED) for each in ("stopped", "storage-full", "failed", "rebooting", "deleting")),
        *((each, Status.FAILED) for each in ("incompatible-network", "inaccessible-encryption-credentials")),
        *((each, Status.BROKEN) for each in ("maintenance", "renaming", "a-state-of-next-year")),
    ],
)
@pytest.mark.parametrize("kind", ["instance", "cluster"])
def test_states_in_which_a_database_works(kind: str, status: str, expected: Status) -> None:
    instance = {"DBInstanceIdentifier": "db", "DBInstanceStatus": status, "PubliclyAccessible": False}
    members = [{"DBInstanceIdentifier": "db-2"}, {"DBInstanceIdentifier": "db-1", "IsClusterWriter": True}]
    cluster = {
        "DBClusterIdentifier": "db",
        "Status": status,
        "Engine": "aurora-postgresql",
        "DBClusterMembers": members,
    }
    answers: dict[str, Answer] = {
        "DescribeDBInstances": {"DBInstances": [instance]},
        "DescribeDBClusters": {"DBClusters": [cluster]},
    }
    assert judge(Stores().test_rds_available, target(**{f"rds_{kind}": "db"}), answers).status is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((each, Status.PASSED) for each in ("available", "snapshotting", "modifying")),
        *((each, Status.FAILED) for each in ("creating", "rebooting cluster nodes", "restore-failed")),
        ("a-state-of-next-year", Status.BROKEN),
    ],
)
@pytest.mark.parametrize("kind", ["cluster", "replication_group", "serverless"])
def test_states_in_which_a_cache_works(kind: str, status: str, expected: Status) -> None:
    answers: dict[str, Answer] = {
        "DescribeCacheClusters": {"CacheClusters": [{"CacheClusterId": "r", "CacheClusterStatus": status}]},
        "DescribeReplicationGroups": {
            "ReplicationGroups": [
                {"ReplicationGroupId": "r", "Status": "available", "NodeGroups": [{"Status": status}]}
            ]
        },
        "DescribeServerlessCaches": {
            "ServerlessCaches": [{"ServerlessCacheName": "r", "Status": status.upper(), "Engine": "valkey"}]
        },
    }
    given_target = target(**{f"elasticache_{kind}": "r"})
    assert judge(Stores().test_cache_available, given_target, answers).status is expected


SECRET = f"arn:aws:secretsmanager:{ACCOUNT}:secret:db-AbCdEf"
PARAMETER = f"arn:aws:ssm:{ACCOUNT}:parameter/hokusai/key"
STARTED, BEFORE, AFTER = (datetime(2026, 3, 1, hour, tzinfo=UTC) for hour in (12, 10, 14))


def secret_answers(value_from: str, changed: datetime, tagged: datetime) -> dict[str, Answer]:
    """A service whose task reads a secret that was changed and tagged at these times."""
    definition = {
        "taskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/api:1",
        "family": "api",
        "revision": 1,
        "containerDefinitions": [
            {"name": "api", "image": "api:1", "secrets": [{"name": "KEY", "valueFrom": value_from}]}
        ],
    }
    task = {"taskArn": "t", "lastStatus": "RUNNING", "startedAt": STARTED}
    task["taskDefinitionArn"] = definition["taskDefinitionArn"]
    return {
        "DescribeServices": {"services": [service()]},
        "ListTasks": {"taskArns": ["t"]},
        "DescribeTasks": {"tasks": [task]},
        "DescribeTaskDefinition": {"taskDefinition": definition},
        "DescribeSecret": {"ARN": SECRET, "Name": "db", "LastChangedDate": tagged},
        "ListSecretVersionIds": {
            "Versions": [{"VersionId": "v" * 32, "VersionStages": ["AWSCURRENT"], "CreatedDate": changed}]
        },
        "DescribeParameters": {
            "Parameters": [
                {"Name": "/hokusai/key", "ARN": PARAMETER, "Version": 3, "LastModifiedDate": changed}
            ]
        },
    }


@pytest.mark.parametrize("value_from", [SECRET, f"{SECRET}:password::", PARAMETER, "/hokusai/key"])
@pytest.mark.parametrize(
    ("changed", "tagged", "status"),
    [(BEFORE, AFTER, Status.PASSED), (AFTER, AFTER, Status.FAILED), (BEFORE, BEFORE, Status.PASSED)],
)
def test_a_secret_is_as_old_as_its_current_version_not_as_its_tag(
    value_from: str, changed: datetime, tagged: datetime, status: Status
) -> None:
    answers = secret_answers(value_from, changed, tagged)
    seen = judge(Provenance().test_secrets_older_than_tasks, target(), answers)
    assert seen.status is status, seen.message


@pytest.mark.parametrize(("name", "wanted"), [(PARAMETER, "/hokusai/key"), ("/hokusai/key", "/hokusai/key")])
def test_a_parameter_is_asked_for_by_its_name(name: str, wanted: str) -> None:
    calls = DocumentedCalls(secret_answers(name, BEFORE, BEFORE))
    assert secret_state(name, Aws(calls, "c")).current is not None
    [(_, asked)] = calls.asked
    assert wanted in asked["ParameterFilters"][0]["Values"]


def cloud_map(
    kind: str, *instances: dict[str, str], health: Mapping[str, str] | None = None, of: str = "DNS_HTTP"
) -> dict[str, Answer]:
    listed = [{"Id": f"i-{number}", "Attributes": each} for number, each in enumerate(instances)]
    found: dict[str, Any] = {"Id": "srv-1", "Name": "mlflow", "Type": of}
    if health is not None:
        found["HealthCheckCustomConfig"] = {"FailureThreshold": 1}
    return {
        "ListNamespaces": {"Namespaces": [{"Id": "ns-1", "Name": "stack.local", "Type": kind}]},
        "ListServices": {"Services": [found]},
        "ListInstances": {"Instances": listed},
        "GetInstancesHealthStatus": {"Status": health or {}},
    }


MAPPED = {"namespace": "stack.local", "discovery_names": {"mlflow": "mlflow"}}


class Names:
    """A resolver that answers from a table, by kind of record."""

    def __init__(self, **answers: Mapping[str, tuple[str, ...]]) -> None:
        self.answers = answers

    def addresses(self, name: str, record: str = "A") -> tuple[str, ...]:
        from hokusai_validation.errors import NameNotResolved

        found = self.answers.get(record, {}).get(name)
        if found is None:
            raise NameNotResolved(f"Name {name} has no {record}.")
        return found


@pytest.mark.parametrize(
    ("health", "status"),
    [
        ({"i-0": "HEALTHY"}, Status.PASSED),
        ({"i-0": "UNKNOWN"}, Status.PASSED),
        ({"i-0": "UNHEALTHY"}, Status.FAILED),
        (None, Status.PASSED),
    ],
)
def test_the_present_health_of_an_instance_counts(health: dict[str, str] | None, status: Status) -> None:
    """Not what it began with."""
    instance = {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INIT_HEALTH_STATUS": "HEALTHY"}
    answers = cloud_map("DNS_PRIVATE", instance, health=health)
    assert judge(CloudMap().test_names_registered, target(**MAPPED), answers).status is status


NAME = "mlflow.stack.local"


@pytest.mark.parametrize(
    ("kind", "of", "instance", "names", "status"),
    [
        ("HTTP", "HTTP", {"AWS_INSTANCE_IPV4": "10.0.0.1"}, {}, Status.PASSED),  # Service Connect
        ("DNS_PRIVATE", "HTTP", {"AWS_INSTANCE_IPV4": "10.0.0.1"}, {}, Status.PASSED),
        ("DNS_PRIVATE", "DNS", {"AWS_INSTANCE_IPV4": "10.0.0.1"}, {}, Status.FAILED),
        (
            "DNS_PRIVATE",
            "DNS",
            {"AWS_INSTANCE_IPV4": "10.0.0.1"},
            {"A": {NAME: ("10.0.0.1",)}},
            Status.PASSED,
        ),
        (
            "DNS_PRIVATE",
            "DNS",
            {"AWS_INSTANCE_IPV6": "2001:db8::1"},
            {"AAAA": {NAME: ("2001:db8::1",)}},
            Status.PASSED,
        ),
        (
            "DNS_PRIVATE",
            "DNS",
            {"AWS_INSTANCE_IPV6": "2001:db8::1"},
            {"AAAA": {NAME: ("2001:db8::2",)}},
            Status.FAILED,
        ),
        (
            "DNS_PRIVATE",
            "DNS",
            {"AWS_INSTANCE_CNAME": "other"},
            {"A": {NAME: ("10.0.0.9",), "other": ("10.0.0.9",)}},
            Status.PASSED,
        ),
        (
            "DNS_PRIVATE",
            "DNS",
            {"AWS_INSTANCE_CNAME": "other"},
            {"A": {NAME: ("10.0.0.8",), "other": ("10.0.0.9",)}},
            Status.FAILED,
        ),
        ("DNS_PRIVATE", "DNS", {"own": "attributes only"}, {}, Status.PASSED),
    ],
)
def test_each_variant_of_a_name(
    kind: str, of: str, instance: dict[str, str], names: dict[str, Any], status: Status
) -> None:
    answers = cloud_map(kind, instance, of=of)
    check = CloudMap().test_names_lead_to_running_tasks
    seen = judge(check, target(**MAPPED), answers, resolver=Names(**names))
    assert seen.status is status, seen.message


def test_an_instance_without_a_port_is_not_asked() -> None:
    answers = cloud_map("DNS_PRIVATE", {"AWS_INSTANCE_IPV4": "127.0.0.1"})
    seen = judge(CloudMap().test_instances_reachable, target(**MAPPED), answers, resolver=Names())
    assert seen.status is Status.PASSED
