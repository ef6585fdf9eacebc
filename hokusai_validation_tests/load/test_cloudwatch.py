"""CloudWatch's numbers of a run, against moto over HTTP: the right values at the right seconds, and what
is not there is said."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from hokusai_validation.load.cloudwatch import Measured, from_cloudwatch, of_run
from hokusai_validation.report import Performance
from hokusai_validation.reporting.performance_charts import over_time
from hokusai_validation.resources.aws.calls import ATTEMPTS, AwsCalls
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.aws.session import Login
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.sections import SecretRef
from hokusai_validation.target import Aws as AwsSection
from hokusai_validation.target import Control, EcsService, Target
from hokusai_validation_tests.deploy.operations import Asked
from hokusai_validation_tests.deploy.recorder import Recorder, recording
from hokusai_validation_tests.moto_server import serving_aws

CLUSTER, SERVICE, DATABASE = "c", "s", "d"
SECTION = AwsSection(cluster=CLUSTER, services={"api": EcsService(service=SERVICE)}, rds_instance=DATABASE)
TARGET = Target(name="t", aws=SECTION)
ECS = {"ClusterName": CLUSTER, "ServiceName": SERVICE}
RDS = {"DBInstanceIdentifier": DATABASE}
NAMES = {"api_cpu_reserved", "api_memory_reserved", "rds_connections"}
BEGUN = datetime.now(UTC).replace(second=0, microsecond=0)
JSON = {"Content-Type": "application/x-amz-json-1.0"}
# As CloudWatch does, which spoke another protocol once.
THROTTLED = (
    400,
    {**JSON, "x-amzn-query-error": "Throttling;Sender"},
    b'{"__type": "ThrottlingException", "message": "Rate exceeded"}',
)

Put = Callable[[str, str, dict[str, str], str, float, datetime], None]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving_aws() as url:
        yield url


@pytest.fixture
def recorder(server: str) -> Iterator[Recorder]:
    """Stands before CloudWatch, which knows of nothing yet."""
    from moto.cloudwatch.models import cloudwatch_backends

    cloudwatch_backends["123456789012"]["us-east-1"].reset()
    with recording(server) as made:
        yield made


@pytest.fixture
def aws(recorder: Recorder) -> Iterator[Aws]:
    calls = AwsCalls(
        "us-east-1",
        endpoint_url=recorder.url,
        login=Login(access_key=SecretStr("key"), secret_key=SecretStr("any")),
    )
    yield Aws(calls, CLUSTER)
    calls.close()


@pytest.fixture
def put(server: str) -> Put:
    """Put one value of a metric."""
    import boto3

    client: Any = boto3.client(
        "cloudwatch", "us-east-1", endpoint_url=server, aws_access_key_id="a", aws_secret_access_key="a"
    )

    def put(
        namespace: str, metric: str, dimensions: dict[str, str], unit: str, value: float, at: datetime
    ) -> None:
        named = [{"Name": name, "Value": text} for name, text in dimensions.items()]
        data = {"MetricName": metric, "Dimensions": named, "Timestamp": at, "Value": value, "Unit": unit}
        client.put_metric_data(Namespace=namespace, MetricData=[data])

    return put


def minute(number: int) -> datetime:
    """A whole minute that is over."""
    return BEGUN + timedelta(minutes=number - 30)


def measured(aws: Aws, begin: datetime, end: datetime) -> Measured:
    return from_cloudwatch(aws, TARGET, begin, end)


def test_each_minute_that_the_run_touched_is_where_it_began_in_its_own_unit(aws: Aws, put: Put) -> None:
    for number in range(6):
        put("AWS/ECS", "CPUUtilization", ECS, "Percent", 10.0 + number, minute(number))
        put("AWS/ECS", "MemoryUtilization", ECS, "Percent", 40.5, minute(number))
        put("AWS/RDS", "DatabaseConnections", RDS, "Count", 15.0 + number, minute(number))
    found = measured(aws, minute(1) + timedelta(seconds=20), minute(4) + timedelta(seconds=10))
    assert found.notes == ()
    # The minute before the run is not the run's, nor is the one after it.
    assert [entry["t_s"] for entry in found.seconds] == [0, 40, 100, 160]
    assert [entry["api_cpu_reserved"] for entry in found.seconds] == [11, 12, 13, 14]
    assert {entry["api_memory_reserved"] for entry in found.seconds} == {40.5}
    assert [entry["rds_connections"] for entry in found.seconds] == [16, 17, 18, 19]


def test_a_point_is_the_average_of_its_minute(aws: Aws, put: Put) -> None:
    for second, value in ((0, 10.0), (30, 30.0)):
        put("AWS/ECS", "CPUUtilization", ECS, "Percent", value, minute(2) + timedelta(seconds=second))
    [entry] = measured(aws, minute(2), minute(3)).seconds
    assert entry == {"t_s": 0.0, "api_cpu_reserved": 20.0}


def test_only_the_targets_own_service_counts(aws: Aws, put: Put) -> None:
    put("AWS/ECS", "CPUUtilization", {**ECS, "ServiceName": "another"}, "Percent", 99.0, minute(2))
    assert measured(aws, minute(2), minute(3)).seconds == []


def test_what_has_no_point_is_said_and_is_not_zero(aws: Aws, put: Put) -> None:
    put("AWS/ECS", "CPUUtilization", ECS, "Percent", 12.0, minute(2))
    put("AWS/RDS", "DatabaseConnections", RDS, "Count", 15.0, minute(0))  # before the run
    found = measured(aws, minute(2), minute(4))
    assert found.seconds == [{"t_s": 0.0, "api_cpu_reserved": 12.0}]
    [note] = found.notes
    assert all(name in note for name in NAMES - {"api_cpu_reserved"})
    assert "api_cpu_reserved" not in note


def test_a_measured_zero_is_a_zero(aws: Aws, put: Put) -> None:
    put("AWS/RDS", "DatabaseConnections", RDS, "Count", 0.0, minute(2))
    assert measured(aws, minute(2), minute(3)).seconds == [{"t_s": 0.0, "rds_connections": 0.0}]


@pytest.fixture
def throttle(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[Asked]]:
    """CloudWatch throttles so many calls; returns the list that every call is put on."""
    # What lies between two tries is botocore's; here only how many there are is looked at.
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)

    def throttle(times: int) -> list[Asked]:
        heard: list[Asked] = []

        def answer(asked: Asked) -> tuple[int, dict[str, str], bytes] | None:
            heard.append(asked)
            if len(heard) > times:
                return None
            return THROTTLED

        recorder.instead = answer
        return heard

    return throttle


def test_throttling_is_waited_out(aws: Aws, put: Put, throttle: Callable[[int], list[Asked]]) -> None:
    put("AWS/ECS", "CPUUtilization", ECS, "Percent", 12.0, minute(2))
    heard = throttle(2)
    assert measured(aws, minute(2), minute(3)).seconds == [{"t_s": 0.0, "api_cpu_reserved": 12.0}]
    assert len(heard) == len(NAMES) + 2


def test_throttling_without_end_is_given_up_and_said(
    aws: Aws, put: Put, throttle: Callable[[int], list[Asked]]
) -> None:
    put("AWS/ECS", "CPUUtilization", ECS, "Percent", 12.0, minute(2))
    heard = throttle(1000)
    found = measured(aws, minute(2), minute(3))
    assert found.seconds == []
    [note] = found.notes
    assert "cloudwatch:GetMetricData" in note
    assert "throttled" in note
    # The other metrics are not asked for: the throttle is the same for all.
    assert len(heard) == ATTEMPTS


def test_an_answer_that_is_none_costs_no_test(aws: Aws, recorder: Recorder) -> None:
    recorder.instead = lambda asked: (200, JSON, b"\xa1not JSON")
    found = measured(aws, minute(2), minute(3))
    assert found.seconds == []
    assert found.notes[0].startswith("CloudWatch: ")


def test_the_only_action_is_the_one_that_the_policy_allows(aws: Aws, recorder: Recorder) -> None:
    measured(aws, minute(2), minute(3))
    assert {call.action for call in recorder.calls()} == {"cloudwatch:GetMetricData"}


def reached_at(url: str) -> Target:
    """The target with keys, named by environment variables."""
    section = SECTION.model_copy(
        update={
            "endpoint_url": url,
            "access_key": SecretRef(env="CLOUDWATCH_TEST_KEY"),
            "secret_key": SecretRef(env="CLOUDWATCH_TEST_KEY"),
        }
    )
    return TARGET.model_copy(update={"aws": section})


def test_a_run_of_minutes_is_looked_up(recorder: Recorder, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDWATCH_TEST_KEY", "any-key")
    put("AWS/ECS", "CPUUtilization", ECS, "Percent", 12.0, minute(2))
    target = reached_at(recorder.url)
    found = of_run(target, Secrets(target), minute(2), minute(4))
    assert found.seconds == [{"t_s": 0.0, "api_cpu_reserved": 12.0}]


def test_a_run_shorter_than_a_minute_is_not_asked_for_and_that_is_said(recorder: Recorder) -> None:
    target = reached_at(recorder.url)
    found = of_run(target, Secrets(target), minute(2), minute(2) + timedelta(seconds=59))
    assert found.seconds == []
    assert "60 s apart" in found.notes[0]
    assert recorder.calls() == frozenset()


def test_a_missing_key_costs_no_test(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDWATCH_TEST_KEY", raising=False)
    target = reached_at(recorder.url)
    found = of_run(target, Secrets(target), minute(2), minute(4))
    assert found.seconds == []
    assert "CLOUDWATCH_TEST_KEY is missing" in found.notes[0]


def test_where_a_control_agent_looks_cloudwatch_is_not_asked(recorder: Recorder) -> None:
    control = Control(url="http://127.0.0.1:9", token=SecretRef(env="CLOUDWATCH_TEST_KEY"))
    target = reached_at(recorder.url).model_copy(update={"control": control})
    assert of_run(target, Secrets(target), minute(2), minute(4)) == Measured([], ())
    assert recorder.calls() == frozenset()


def test_without_aws_nothing_is_asked(aws: Aws) -> None:
    assert from_cloudwatch(aws, Target(name="t"), minute(1), minute(2)) == Measured([], ())


def test_it_is_drawn_under_its_own_unit(aws: Aws, put: Put) -> None:
    for number in (2, 3):
        put("AWS/ECS", "CPUUtilization", ECS, "Percent", 12.0, minute(number))
    series = measured(aws, minute(2), minute(4)).seconds
    run = Performance(test="TestX::test_y", endpoint="all", model="open", requests=1, series=tuple(series))
    [picture] = over_time(run)
    assert "% of what the service reserves" in picture
    assert "api_cpu_reserved" in picture
