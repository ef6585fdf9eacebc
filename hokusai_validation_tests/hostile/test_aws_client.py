"""The calls to AWS against a hostile endpoint: bounded in time and memory, each trouble one of AWS's."""

import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from hokusai_validation.errors import AwsError, AwsUnavailable
from hokusai_validation.resources.aws import calls as aws_calls
from hokusai_validation.resources.aws import session
from hokusai_validation.resources.aws.calls import AwsCalls
from hokusai_validation.resources.aws.session import Login
from hokusai_validation_tests.hostile.server import WAYS, hostile
from hokusai_validation_tests.hostile.test_client import MEMORY_MB, memory_mb

LOGIN = Login(access_key=SecretStr("an-example-key"), secret_key=SecretStr("an-example-secret-key"))
LIMIT_S = 2.0
CALLS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("ecs", "list_tasks", "taskArns", {"cluster": "c"}),  # JSON, with a paginator
    ("elbv2", "describe_load_balancers", "LoadBalancers", {}),  # XML
    ("servicediscovery", "list_services", "Services", {}),
    ("s3", "list_objects_v2", "Contents", {"Bucket": "b"}),
)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "ATTEMPT_LIMIT_S", 0.5)
    monkeypatch.setattr(aws_calls, "CALL_LIMIT_S", LIMIT_S)
    monkeypatch.setattr(aws_calls, "LIST_LIMIT_S", LIMIT_S)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(("service", "operation", "items", "arguments"), CALLS)
@pytest.mark.parametrize("way", WAYS)
def test_no_answer_makes_a_call_wait_or_grow(
    way: str, service: str, operation: str, items: str, arguments: dict[str, str]
) -> None:
    with hostile(way) as url:
        asked = AwsCalls("us-east-1", endpoint_url=url, login=LOGIN, attempts=2)
        asked.client(service)  # its model is read once, and is large
        Path("/proc/self/clear_refs").write_text("5")
        before_mb = memory_mb("VmRSS")
        begun = time.monotonic()
        try:
            found = list(asked.pages(service, operation, items, **arguments))
        except AwsError:
            found = []
        assert len(found) < 1000
        # This is about waiting for ever, not about speed.
        assert time.monotonic() - begun < 10 * LIMIT_S
        assert memory_mb("VmHWM") - before_mb < MEMORY_MB
        asked.close()


@pytest.mark.usefixtures("short")
def test_an_endless_body_is_named() -> None:
    with hostile("huge") as url:
        asked = AwsCalls("us-east-1", endpoint_url=url, login=LOGIN, attempts=2)
        with pytest.raises(AwsUnavailable, match="answered more than 8388608 bytes; reading stopped"):
            asked.call("sts", "get_caller_identity")
        asked.close()


@pytest.mark.usefixtures("short")
def test_a_role_is_asked_for_within_bounds_too() -> None:
    login = LOGIN.model_copy(update={"role_arn": "arn:aws:iam::123456789012:role/reader"})
    with hostile("slow_body") as url:
        asked = AwsCalls("us-east-1", endpoint_url=url, login=login, attempts=1)
        begun = time.monotonic()
        with pytest.raises(AwsError):
            asked.call("ecs", "list_tasks", cluster="c")
        assert time.monotonic() - begun < 10 * LIMIT_S
        asked.close()
