"""What is our own in AWS: the bucket of the results, the records, the suite's tasks. Asked by the credentials of
this process, within bounds as a target's account is: a stranger's trouble and our own hang alike."""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from hokusai_validation.bounds import connections
from hokusai_validation.bounds.connections import Bounds

CONNECT_LIMIT_S = 5
READ_LIMIT_S = 10
TRIES = 4
# Of one attempt. A row of a record is some KiB; what botocore answers about tasks, less than a MiB.
REQUEST_LIMIT_S = 20.0
ANSWER_LIMIT_BYTES = 64 * 1024 * 1024
# s3fs tries five times itself, and each of these as often.
TRIES_OF_FILES = 2


def client(service: str, options: Mapping[str, JsonValue] | None = None) -> Any:
    """A boto3 client; `options` are fsspec's, of which `profile` and `endpoint_url` count."""
    import boto3
    from botocore.config import Config

    given = options or {}
    profile, endpoint = given.get("profile"), given.get("endpoint_url")
    made = boto3.Session(profile_name=None if profile is None else str(profile)).client(
        service,
        endpoint_url=None if endpoint is None else str(endpoint),
        config=Config(
            connect_timeout=CONNECT_LIMIT_S,
            read_timeout=READ_LIMIT_S,
            retries={"mode": "standard", "total_max_attempts": TRIES},
        ),
    )
    connections.of_botocore(made, Bounds(REQUEST_LIMIT_S, ANSWER_LIMIT_BYTES))
    return made


def files(options: Mapping[str, Any]) -> dict[str, Any]:
    """s3fs' options for the same, over those that are given."""
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
