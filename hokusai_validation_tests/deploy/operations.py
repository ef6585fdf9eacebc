"""What a request to AWS asks of IAM: the action, the resource and the condition keys, read from the
request itself, so that it does not matter who made it and with what.

The service is the one that the request is signed for; the operation stands in the target header
(JSON), the path (RPC v2 and REST) or the form (query).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree

ACCOUNT, REGION = "123456789012", "us-east-1"
NO_RESOURCE = "*"

_SIGNED = re.compile(r"Credential=([^/,\s]+)/\d{8}/[^/]+/([^/]+)/aws4_request")
_RPC = re.compile(r"^/service/\w+/operation/(\w+)$")
# IAM names a service as its requests are signed, but for these.
_PREFIX = {"monitoring": "cloudwatch"}
# One action of IAM may stand for several operations; what needs no permission has none.
_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "sts:GetCallerIdentity": (),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:ListObjects": ("s3:ListBucket",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:ListBuckets": ("s3:ListAllMyBuckets",),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:DeleteObjects": ("s3:DeleteObject",),
    "s3:CopyObject": ("s3:GetObject", "s3:PutObject"),
    "s3:CreateMultipartUpload": ("s3:PutObject",),
    "s3:UploadPart": ("s3:PutObject",),
    "s3:CompleteMultipartUpload": ("s3:PutObject",),
}


class NotUnderstood(Exception):
    """A request of which we cannot say what it asks for: nothing may go unrecorded."""


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of a query protocol's body."""
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def json(self) -> dict[str, Any]:
        """A JSON protocol's body."""
        return dict(json.loads(self.body or b"{}"))


@dataclass(frozen=True)
class Call:
    """One thing that IAM is asked: may `who` (an access key's id) do that?"""

    who: str
    action: str
    resource: str = NO_RESOURCE
    keys: tuple[tuple[str, str], ...] = field(default=())

    def __str__(self) -> str:
        return f"{self.action} on {self.resource} {dict(self.keys) or ''}".rstrip()


def calls_of(asked: Asked) -> tuple[Call, ...]:
    """Everything that IAM is asked for one request.

    Raises NotUnderstood."""
    signed = _SIGNED.search(asked.headers.get("authorization", ""))
    if signed is None:
        raise NotUnderstood(f"{asked.method} {asked.path} is not signed.")
    who, service = signed.groups()
    operation = _operation(asked, service)
    name = f"{_PREFIX.get(service, service)}:{operation}"
    return tuple(
        Call(who, action, resource, keys)
        for action in _ACTIONS.get(name, (name,))
        for resource, keys in _resources(asked, service, operation)
    ) + tuple(_implied(asked, who, name))


def _operation(asked: Asked, service: str) -> str:
    target = asked.headers.get("x-amz-target", "")
    rpc = _RPC.match(asked.path)
    if target:
        return target.rpartition(".")[2]
    if rpc:
        return rpc.group(1)
    if asked.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return asked.form["Action"]
    return _rest_operation(asked, service)


def _rest_operation(asked: Asked, service: str) -> str:
    """The operation whose method and path fit best: the one that fixes most of the request."""
    given = parse_qs(asked.query, keep_blank_values=True)
    named = {*asked.headers, *(name.lower() for name in given)}
    for method, path, fixed, required, operation in _rest_operations(service):
        if (
            method == asked.method
            and path.fullmatch(asked.path)
            and all(given.get(name, [None])[0] == value for name, value in fixed.items())
            and named.issuperset(required)
        ):
            return operation
    raise NotUnderstood(f"{service} has no operation {asked.method} {asked.path}?{asked.query}.")


@cache
def _rest_operations(service: str) -> tuple[tuple[str, re.Pattern[str], dict[str, str], list[str], str], ...]:
    import botocore.session

    model = botocore.session.get_session().get_service_model(service)
    found = []
    for name in model.operation_names:
        shape = model.operation_model(name)
        uri, _, query = str(shape.http["requestUri"]).partition("?")
        fixed = {key: values[0] for key, values in parse_qs(query, keep_blank_values=True).items()}
        pattern = re.sub(
            r"\\\{(\w+)(\\\+)?\\\}", lambda m: ".+" if m[2] else "[^/]+", re.escape(uri).rstrip("/")
        )
        members = shape.input_shape.members if shape.input_shape else {}
        required = [
            str(members[each].serialization.get("name", each)).lower()
            for each in (shape.input_shape.required_members if shape.input_shape else ())
            if members[each].serialization.get("location") in ("header", "querystring")
        ]
        found.append((str(shape.http["method"]), re.compile(pattern + "/?"), fixed, required, name))
    found.sort(key=lambda each: (-len(each[2]) - len(each[3]), -len(each[1].pattern), each[4]))
    return tuple(found)


def _implied(asked: Asked, who: str, name: str) -> Iterator[Call]:
    """What IAM is asked besides: a task that starts with tags is also tagged."""
    if name == "ecs:RunTask" and asked.json.get("tags"):
        cluster = asked.json.get("cluster", "default").rpartition("/")[2]
        created = (("ecs:CreateAction", "RunTask"),)
        yield Call(who, "ecs:TagResource", arn("ecs", f"task/{cluster}/new"), created)


def arn(service: str, rest: str) -> str:
    """An ARN in the account."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


def _resources(
    asked: Asked, service: str, operation: str
) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """The resources that a request names, each with the condition keys that come with it."""
    match service:
        case "ecs":
            yield from _of_ecs(asked.json, operation)
        case "s3":
            yield from ((resource, ()) for resource in _of_s3(asked, operation))
        case "secretsmanager":
            yield _of_secrets(asked), ()
        case "logs":
            yield _of_logs(asked, operation), ()
        case "fis":
            yield from ((resource, ()) for resource in _of_fis(asked, operation))
        case "sns":
            yield asked.form["TopicArn"], ()
        case "rds":
            yield arn("rds", f"db:{asked.form.get('DBInstanceIdentifier', '*')}"), ()
        case "elasticache":
            yield arn("elasticache", f"cluster:{asked.form.get('CacheClusterId', '*')}"), ()
        case "acm":
            yield asked.json["CertificateArn"], ()
        case "servicediscovery" if operation in ("ListInstances", "GetInstancesHealthStatus"):
            yield arn("servicediscovery", f"service/{asked.json['ServiceId']}"), ()
        case _:
            yield NO_RESOURCE, ()


def _of_ecs(given: Mapping[str, Any], operation: str) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    cluster = str(given.get("cluster", "default")).rpartition("/")[2]
    keys = (("ecs:cluster", arn("ecs", f"cluster/{cluster}")),)
    match operation:
        case "DescribeTaskDefinition":
            yield NO_RESOURCE, ()
        case "RunTask":
            yield arn("ecs", f"task-definition/{given['taskDefinition'].rpartition('/')[2]}"), keys
        case "DescribeServices":
            for name in given["services"]:
                yield arn("ecs", f"service/{cluster}/{name.rpartition('/')[2]}"), keys
        case "ListServiceDeployments":
            yield arn("ecs", f"service/{cluster}/{given['service'].rpartition('/')[2]}"), keys
        case "DescribeTasks" | "StopTask":
            for task in given.get("tasks") or [given["task"]]:
                yield arn("ecs", f"task/{cluster}/{task.rpartition('/')[2]}"), keys
        case _:
            yield NO_RESOURCE, keys


def _of_s3(asked: Asked, operation: str) -> Iterator[str]:
    bucket, _, key = unquote(asked.path).lstrip("/").partition("/")
    if operation == "DeleteObjects":
        for each in ElementTree.fromstring(asked.body).iter():
            if each.tag.rpartition("}")[2] == "Key":
                yield f"arn:aws:s3:::{bucket}/{each.text}"
    elif bucket:
        yield f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")
    else:
        yield NO_RESOURCE


def _of_secrets(asked: Asked) -> str:
    """An ARN ends in six characters that a name does not have."""
    name = str(asked.json.get("SecretId", ""))
    if not name:
        return NO_RESOURCE
    return name if name.startswith("arn:") else arn("secretsmanager", f"secret:{name}-000000")


def _of_logs(asked: Asked, operation: str) -> str:
    given = asked.json
    if operation == "DescribeLogGroups":
        return NO_RESOURCE
    stream = given.get("logStreamName", "")
    return arn("logs", f"log-group:{given['logGroupName']}:{f'log-stream:{stream}' if stream else ''}")


def _of_fis(asked: Asked, operation: str) -> Iterator[str]:
    if operation == "StartExperiment":
        yield arn("fis", f"experiment-template/{asked.json['experimentTemplateId']}")
        yield arn("fis", "experiment/new")
    elif asked.path.rstrip("/") == "/experiments":
        yield NO_RESOURCE
    else:
        yield arn("fis", f"experiment/{asked.path.rpartition('/')[2]}")
