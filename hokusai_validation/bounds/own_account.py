"""What is our own in AWS: the bucket of the results, the records, the suite's tasks. Asked by the credentials of
this process, within bounds as a target's account is: a stranger's trouble and our own hang alike."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import JsonValue

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.client import BaseClient
    from botocore.config import Config
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_s3 import S3Client

Client = TypeVar("Client", bound="BaseClient")

CONNECT_LIMIT_S = 5
READ_LIMIT_S = 10
TRIES = 4
# Of one attempt. A row of a record is some KiB; what botocore answers about tasks, less than a MiB.
REQUEST_LIMIT_S = 20.0
ANSWER_LIMIT_BYTES = 64 * 1024 * 1024
# s3fs tries five times itself, and each of these as often.
TRIES_OF_FILES = 2
BUCKET_FILES = "hokusai_validation.bounds.bucket_files.BucketFiles"


def s3(options: Mapping[str, JsonValue] | None = None) -> "S3Client":
    """A boto3 client of the bucket; `options` are fsspec's, of which `profile` and `endpoint_url` count."""
    made: S3Client = _boto3(options).client(
        "s3", endpoint_url=_text(options, "endpoint_url"), config=_config()
    )
    return _bounded(made)


def ecs(options: Mapping[str, JsonValue] | None = None) -> "ECSClient":
    """A boto3 client of the tasks; `options` as for `s3`."""
    made: ECSClient = _boto3(options).client(
        "ecs", endpoint_url=_text(options, "endpoint_url"), config=_config()
    )
    return _bounded(made)


def _boto3(options: Mapping[str, JsonValue] | None) -> "Session":
    import boto3

    return boto3.Session(profile_name=_text(options, "profile"))


def _text(options: Mapping[str, JsonValue] | None, name: str) -> str | None:
    value = (options or {}).get(name)
    return None if value is None else str(value)


def _config() -> "Config":
    from botocore.config import Config

    return Config(
        connect_timeout=CONNECT_LIMIT_S,
        read_timeout=READ_LIMIT_S,
        retries={"mode": "standard", "total_max_attempts": TRIES},
    )


def _bounded(made: Client) -> Client:
    # Here: what it imports would cost every command that looks at its results a quarter of a second.
    from hokusai_validation.bounds import connections
    from hokusai_validation.bounds.connections import Bounds

    connections.of_botocore(made, Bounds(REQUEST_LIMIT_S, ANSWER_LIMIT_BYTES))
    return made


def files(options: Mapping[str, Any]) -> dict[str, Any]:
    """s3fs' options for the same, over those that are given; buckets are asked by `bucket_files` from here on."""
    import fsspec

    fsspec.register_implementation("s3", BUCKET_FILES, clobber=True)
    bounds = {
        "connect_timeout": CONNECT_LIMIT_S,
        "read_timeout": READ_LIMIT_S,
        "retries": {"mode": "standard", "total_max_attempts": TRIES_OF_FILES},
        "http_session_cls": _session,
    }
    return {**options, "config_kwargs": {**bounds, **options.get("config_kwargs", {})}}


def _session(*arguments: Any, **options: Any) -> Any:
    """aiobotocore's, whose time-outs are for each read as all of botocore's, under one for the whole request."""
    import aiohttp
    from aiobotocore.httpsession import AIOHTTPSession

    made = AIOHTTPSession(*arguments, **options)
    made._timeout = aiohttp.ClientTimeout(
        total=REQUEST_LIMIT_S, sock_connect=CONNECT_LIMIT_S, sock_read=READ_LIMIT_S
    )
    return made
