"""The calls themselves: lists followed to their end, throttling waited out, errors by kind."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from hokusai_sandbox.ports import Reservations
from hokusai_validation.errors import (
    AwsCredentialsRefused,
    AwsError,
    AwsNotFound,
    AwsPermissionMissing,
    AwsThrottled,
    AwsUnavailable,
)
from hokusai_validation.resources.aws.calls import PAGES_LIMIT, AwsCalls, named
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.aws.session import Login
from hokusai_validation.result import Status
from hokusai_validation.suite.test_discovery import TestEcs as Ecs
from hokusai_validation.suite.test_discovery import TestStores as Stores
from hokusai_validation_tests.suite_aws.cloud import Cloud, judge

GROUPS = 120


def test_importing_the_resource_does_not_import_boto3() -> None:
    code = "import sys, hokusai_validation.resources.aws.client; sys.exit('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_lists_are_followed_to_their_end(cloud: Cloud) -> None:
    logs = cloud.client("logs")
    names = [f"/many/{number:03}" for number in range(GROUPS)]
    for name in names:
        logs.create_log_group(logGroupName=name)
    found = cloud.aws().calls.pages(
        "logs", "describe_log_groups", "logGroups", logGroupNamePrefix="/many/", limit=50
    )
    assert [each["logGroupName"] for each in found] == names
    assert cloud.aws().data.log_group(names[-1]).last_event_at is None


def test_services_are_asked_for_ten_at_a_time(cloud: Cloud) -> None:
    names = [f"nobody-{number}" for number in range(23)]
    assert cloud.aws().ecs.services([*names, "hokusai-api-development"]).keys() == {"hokusai-api-development"}


class Endless:
    """A boto3 client whose lists never end, with a paginator or without one."""

    def __init__(self, *, pages: bool) -> None:
        self.paginated = pages
        self.asked = 0
        self.meta = type("Meta", (), {"method_to_api_mapping": {"list_things": "ListThings"}})

    def can_paginate(self, _: str) -> bool:
        return self.paginated

    def get_paginator(self, _: str) -> "Endless":
        return self

    def paginate(self) -> Iterator[dict[str, Any]]:
        while True:
            yield self.list_things()

    def list_things(self, **_: str) -> dict[str, Any]:
        self.asked += 1
        return {"things": [self.asked], "nextToken": "again"}


@pytest.mark.parametrize("pages", [True, False])
def test_a_list_without_end_is_given_up(pages: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, client = AwsCalls("us-east-1"), Endless(pages=pages)
    monkeypatch.setattr(calls, "client", lambda _: client)
    with pytest.raises(AwsUnavailable, match="more than 200 pages"):
        list(calls.pages("things", "list_things", "things"))
    assert client.asked == PAGES_LIMIT


def test_a_missing_permission_skips_with_the_action(cloud: Cloud) -> None:
    with cloud.state("permission_missing", action="ecs:DescribeServices"):
        with pytest.raises(AwsPermissionMissing) as refused:
            cloud.aws().ecs.service("hokusai-api-development")
        seen = judge(Ecs().test_services_active, cloud)
    assert refused.value.action == "ecs:DescribeServices"
    assert (seen.status, seen.message) == (Status.SKIPPED, "missing permission ecs:DescribeServices")


@pytest.mark.parametrize(
    ("denied", "check", "action"),
    [
        ("DescribeDBInstances", Stores().test_rds_available, "rds:DescribeDBInstances"),
        ("DescribeCacheClusters", Stores().test_cache_available, "elasticache:DescribeCacheClusters"),
        ("DescribeSecret", Stores().test_database_secret, "secretsmanager:DescribeSecret"),
        ("DescribeLogGroups", Stores().test_log_groups, "logs:DescribeLogGroups"),
    ],
)
def test_each_protocol_names_the_action(cloud: Cloud, denied: str, check: Any, action: str) -> None:
    with cloud.state("permission_missing", action=denied):
        seen = judge(check, cloud)
    assert (seen.status, seen.message) == (Status.SKIPPED, f"missing permission {action}")


def test_throttling_is_waited_out(cloud: Cloud) -> None:
    with cloud.state("throttled", action="ecs:DescribeServices", times=1):
        assert cloud.aws().ecs.service("hokusai-api-development").running == 2


def test_throttling_without_end_is_given_up(cloud: Cloud) -> None:
    calls = AwsCalls(
        "us-east-1",
        endpoint_url=cloud.plan.url("aws"),
        login=Login(
            access_key=SecretStr(cloud.plan.secrets.aws_access_key),
            secret_key=SecretStr(cloud.plan.secrets.aws_secret_key),
        ),
        attempts=2,
    )
    with cloud.state("throttled", action="rds:DescribeDBInstances"), pytest.raises(AwsThrottled):
        Aws(calls, "any").data.rds_instance("hokusai-mlflow-development")


def test_wrong_credentials_are_refused_with_their_own_message(cloud: Cloud) -> None:
    calls = AwsCalls(
        "us-east-1",
        endpoint_url=cloud.plan.url("aws"),
        login=Login(
            access_key=SecretStr("wrong-key-id"),
            secret_key=SecretStr("wrong"),
        ),
        attempts=1,
    )
    aws = Aws(calls, "any")
    with pytest.raises(AwsCredentialsRefused, match="does not accept the credentials"):
        aws.identity()
    with pytest.raises(AwsCredentialsRefused):
        aws.ecs.service("any")


def test_no_answer_is_unavailable() -> None:
    with Reservations(["nobody"]) as reserved:
        calls = AwsCalls(
            "us-east-1",
            endpoint_url=f"http://127.0.0.1:{reserved.ports['nobody']}",
            login=Login(
                access_key=SecretStr("any-key-id"),
                secret_key=SecretStr("any"),
            ),
            attempts=1,
        )
        with pytest.raises(AwsUnavailable, match="sts:GetCallerIdentity in us-east-1 got no answer"):
            Aws(calls, "any").identity()


def test_the_observer_hears_every_action(cloud: Cloud) -> None:
    heard: list[str] = []
    aws = cloud.aws(observer=heard.append)
    aws.balancing.load_balancers(())
    aws.data.bucket_exists("nothing-there")
    aws.identity()
    assert heard == [
        "elasticloadbalancing:DescribeLoadBalancers",
        "s3:ListBucket",
        "sts:GetCallerIdentity",
    ]


def test_older_versions_of_a_secret_are_told_apart(cloud: Cloud) -> None:
    name = "hokusai/database/credentials"
    with cloud.state("secret_changed", password="the-new-one"):
        state = cloud.aws().data.secret_state(name)
        now, before = (
            cloud.aws().data.secret_value(name, f"AWS{stage}") for stage in ("CURRENT", "PREVIOUS")
        )
    assert state.current is not None
    assert "the-new-one" in now.get_secret_value()
    assert "the-new-one" not in before.get_secret_value()
    with pytest.raises(AwsNotFound):
        cloud.aws().data.secret_value("no/such/secret")


def test_metrics_come_oldest_first(cloud: Cloud) -> None:
    points = cloud.aws().data.metric(
        "AWS/RDS", "DatabaseConnections", {"DBInstanceIdentifier": "hokusai-mlflow-development"}
    )
    assert len(points) > 30
    assert [point.at for point in points] == sorted(point.at for point in points)


def test_log_lines_are_read_since_a_moment(cloud: Cloud) -> None:
    since = datetime.now(UTC) - timedelta(hours=1)
    events = cloud.aws().data.log_events("/ecs/hokusai-api-development", since)
    assert [event.message for event in events] == ["api: started"]
    assert cloud.aws().data.log_events("/ecs/hokusai-api-development", since, until=since) == ()
    later = datetime.now(UTC) + timedelta(hours=1)
    assert cloud.aws().data.log_events("/ecs/hokusai-api-development", later) == ()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "Error": st.fixed_dictionaries(
                {}, optional={"Code": st.text(max_size=30), "Message": st.text(max_size=50)}
            ),
            "ResponseMetadata": st.fixed_dictionaries({}, optional={"HTTPStatusCode": st.integers(100, 599)}),
        },
    )
)
def test_any_error_answer_becomes_one_of_ours(response: dict[str, Any]) -> None:
    error = named(response, "ecs:ListTasks", "us-east-1")
    assert isinstance(error, AwsError)
    assert "ecs:ListTasks" in str(error)
