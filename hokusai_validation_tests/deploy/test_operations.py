"""A request as boto3 puts it on the wire is read for what IAM would be asked; what can't be read is
never passed over."""

from collections.abc import Mapping
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from hokusai_validation_tests.deploy.operations import Asked, Call, NotUnderstood, arn, calls_of

CLUSTER = (("ecs:cluster", arn("ecs", "cluster/c")),)
OBJECT, SECRET = "arn:aws:s3:::b/a/key with space", arn("secretsmanager", "secret:hokusai/x-AbCdEf")
METRICS = {
    "MetricDataQueries": [{"Id": "a", "Expression": "1"}],
    "StartTime": 0,
    "EndTime": 60,
}
KEY = {"Bucket": "b", "Key": "a/key with space"}

# Service, operation as boto3 names it, arguments -> the actions, each with its resource.
CASES: list[tuple[str, str, Mapping[str, Any], list[tuple[str, str]]]] = [
    ("sts", "get_caller_identity", {}, []),
    ("s3", "head_bucket", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
    ("s3", "list_objects", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
    ("s3", "list_objects_v2", {"Bucket": "b", "Prefix": "p"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
    ("s3", "list_buckets", {}, [("s3:ListAllMyBuckets", "*")]),
    ("s3", "create_bucket", {"Bucket": "b"}, [("s3:CreateBucket", "arn:aws:s3:::b")]),
    ("s3", "get_bucket_versioning", {"Bucket": "b"}, [("s3:GetBucketVersioning", "arn:aws:s3:::b")]),
    ("s3", "head_object", KEY, [("s3:GetObject", OBJECT)]),
    ("s3", "get_object", KEY, [("s3:GetObject", OBJECT)]),
    ("s3", "put_object", {**KEY, "Body": b"x"}, [("s3:PutObject", OBJECT)]),
    ("s3", "put_object_tagging", {**KEY, "Tagging": {"TagSet": []}}, [("s3:PutObjectTagging", OBJECT)]),
    ("s3", "delete_object", KEY, [("s3:DeleteObject", OBJECT)]),
    (
        "s3",
        "delete_objects",
        {"Bucket": "b", "Delete": {"Objects": [{"Key": "1"}, {"Key": "2"}]}},
        [("s3:DeleteObject", "arn:aws:s3:::b/1"), ("s3:DeleteObject", "arn:aws:s3:::b/2")],
    ),
    (
        "s3",
        "copy_object",
        {**KEY, "CopySource": "b/other"},
        [("s3:GetObject", OBJECT), ("s3:PutObject", OBJECT)],
    ),
    ("s3", "create_multipart_upload", KEY, [("s3:PutObject", OBJECT)]),
    ("s3", "upload_part", {**KEY, "PartNumber": 1, "UploadId": "u", "Body": b""}, [("s3:PutObject", OBJECT)]),
    ("s3", "abort_multipart_upload", {**KEY, "UploadId": "u"}, [("s3:AbortMultipartUpload", OBJECT)]),
    ("cloudwatch", "get_metric_data", METRICS, [("cloudwatch:GetMetricData", "*")]),
    ("elbv2", "describe_rules", {}, [("elasticloadbalancing:DescribeRules", "*")]),
    (
        "rds",
        "describe_db_instances",
        {"DBInstanceIdentifier": "d"},
        [("rds:DescribeDBInstances", arn("rds", "db:d"))],
    ),
    ("ec2", "describe_network_interfaces", {}, [("ec2:DescribeNetworkInterfaces", "*")]),
    ("ecs", "describe_task_definition", {"taskDefinition": "t"}, [("ecs:DescribeTaskDefinition", "*")]),
    ("ecs", "list_tasks", {"cluster": "c"}, [("ecs:ListTasks", "*")]),
    ("ecs", "stop_task", {"cluster": "c", "task": "t"}, [("ecs:StopTask", arn("ecs", "task/c/t"))]),
    (
        "ecs",
        "describe_services",
        {"cluster": arn("ecs", "cluster/c"), "services": ["one", arn("ecs", "service/c/two")]},
        [("ecs:DescribeServices", arn("ecs", f"service/c/{name}")) for name in ("one", "two")],
    ),
    (
        "ecs",
        "run_task",
        {"cluster": "c", "taskDefinition": "t", "tags": [{"key": "k", "value": "v"}]},
        [("ecs:RunTask", arn("ecs", "task-definition/t")), ("ecs:TagResource", arn("ecs", "task/c/new"))],
    ),
    ("secretsmanager", "list_secrets", {}, [("secretsmanager:ListSecrets", "*")]),
    (
        "secretsmanager",
        "get_secret_value",
        {"SecretId": SECRET},
        [("secretsmanager:GetSecretValue", SECRET)],
    ),
    (
        "logs",
        "get_log_events",
        {"logGroupName": "g", "logStreamName": "s"},
        [("logs:GetLogEvents", arn("logs", "log-group:g:log-stream:s"))],
    ),
    (
        "servicediscovery",
        "discover_instances",
        {"NamespaceName": "n", "ServiceName": "s"},
        [("servicediscovery:DiscoverInstances", "*")],
    ),
    ("fis", "list_experiments", {}, [("fis:ListExperiments", "*")]),
    ("fis", "get_experiment", {"id": "E"}, [("fis:GetExperiment", arn("fis", "experiment/E"))]),
    ("fis", "stop_experiment", {"id": "E"}, [("fis:StopExperiment", arn("fis", "experiment/E"))]),
    (
        "fis",
        "start_experiment",
        {"experimentTemplateId": "T"},
        [
            ("fis:StartExperiment", arn("fis", "experiment-template/T")),
            ("fis:StartExperiment", arn("fis", "experiment/new")),
        ],
    ),
    ("sns", "publish", {"TopicArn": "arn:topic", "Message": "m"}, [("sns:Publish", "arn:topic")]),
]


def request_of(service: str, operation: str, arguments: Mapping[str, Any]) -> Asked:
    """What boto3 would send, caught before it is sent."""
    client = boto3.client(
        service,
        "us-east-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="KEY",
        aws_secret_access_key="any",
        config=Config(
            inject_host_prefix=False, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}
        ),
    )
    sent: list[AWSPreparedRequest] = []

    class Sent(Exception):
        pass

    def catch(request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        sent.append(request)
        raise Sent

    client.meta.events.register("before-send", catch)
    with pytest.raises(Sent):
        getattr(client, operation)(**arguments)
    [request] = sent
    rest, _, query = request.url.removeprefix("http://127.0.0.1:9").partition("?")
    body = request.body or b""
    return Asked(
        str(request.method),
        rest,
        query,
        {
            name.lower(): value.decode() if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        },
        body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else body.read(),
    )


@pytest.mark.parametrize(("service", "operation", "arguments", "expected"), CASES, ids=lambda v: str(v)[:30])
def test_a_request_is_read(
    service: str, operation: str, arguments: Mapping[str, Any], expected: list[tuple[str, str]]
) -> None:
    calls = calls_of(request_of(service, operation, arguments))
    assert [(call.action, call.resource) for call in calls] == expected
    assert {call.who for call in calls} <= {"KEY"}


def test_condition_keys_come_with_the_calls_that_carry_them() -> None:
    assert calls_of(request_of("ecs", "list_tasks", {"cluster": "c"})) == (
        Call("KEY", "ecs:ListTasks", "*", CLUSTER),
    )
    tagged = {"cluster": "c", "taskDefinition": "t", "tags": [{"key": "k", "value": "v"}]}
    started, made = calls_of(request_of("ecs", "run_task", tagged))
    assert started.keys == CLUSTER
    assert made.keys == (("ecs:CreateAction", "RunTask"),)


def test_an_operation_may_stand_in_the_path() -> None:
    """RPC v2, which boto3 may come to speak with some services."""
    signed = "AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/monitoring/aws4_request, Signature=x"
    path = "/service/GraniteServiceVersion20100801/operation/GetMetricData"
    asked = Asked("POST", path, "", {"authorization": signed}, b"\xa0")
    assert calls_of(asked) == (Call("KEY", "cloudwatch:GetMetricData"),)


@pytest.mark.parametrize(
    "asked",
    [
        Asked("GET", "/b/key", "", {}, b""),
        Asked("GET", "/b/key", "", {"authorization": "Bearer x"}, b""),
        Asked(
            "PATCH",
            "/b",
            "",
            {"authorization": "AWS4-HMAC-SHA256 Credential=K/20260101/us-east-1/s3/aws4_request"},
            b"",
        ),
    ],
    ids=["unsigned", "not AWS's signature", "no operation"],
)
def test_what_cannot_be_read_is_an_error(asked: Asked) -> None:
    with pytest.raises(NotUnderstood):
        calls_of(asked)
