"""What is our own in AWS against an endpoint that drips or never ends: our own trouble, and it ends too."""

import time
from collections.abc import Callable

import pytest
from botocore.exceptions import BotoCoreError
from fsspec.exceptions import FSTimeoutError
from s3fs import S3FileSystem

from hokusai_validation.bounds import own_account
from hokusai_validation.errors import RecordNotWritten
from hokusai_validation.store import record
from hokusai_validation.store.storage import base_path
from hokusai_validation_tests.hostile.server import hostile
from hokusai_validation_tests.moto_server import serving_aws

LIMIT_S = 0.5
SLACK_S = 20.0
ADDRESS = "s3://bucket/rows/run/health"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_account, "REQUEST_LIMIT_S", LIMIT_S)
    monkeypatch.setattr(own_account, "TRIES", 2)
    monkeypatch.setattr(own_account, "TRIES_OF_FILES", 1)
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-example-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "an-example-secret-key")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def row_out(url: str) -> object:
    record.BucketPlace(ADDRESS, record.s3_client({"endpoint_url": url})).append(b"{}")
    return None


def rows_in(url: str) -> object:
    return record.read(ADDRESS, {"endpoint_url": url})


def tasks(url: str) -> object:
    return own_account.ecs({"endpoint_url": url}).describe_tasks(cluster="c", tasks=["t"])


def file_in(url: str) -> object:
    return (base_path("s3://bucket/results", {"endpoint_url": url}) / "latest.json").read_bytes()


def file_out(url: str) -> object:
    return (base_path("s3://bucket/results", {"endpoint_url": url}) / "latest.json").write_bytes(b"{}")


def test_a_read_that_ends_in_a_time_out_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_: object, **__: object) -> bytes:
        raise FSTimeoutError

    monkeypatch.setattr(own_account, "REQUEST_LIMIT_S", SLACK_S)
    with serving_aws() as url:
        own_account.s3({"endpoint_url": url}).create_bucket(Bucket="bucket")
        path = base_path("s3://bucket/results", {"endpoint_url": url}) / "latest.json"
        path.write_bytes(b"{}")
        monkeypatch.setattr("s3fs.core._fetch_range", late)
        with pytest.raises(TimeoutError, match="did not answer in time"):
            path.read_bytes()


@pytest.mark.parametrize(
    ("ask", "way"),
    [
        (row_out, "slow_header"),
        (rows_in, "slow_body"),
        (tasks, "endless_header"),
        (file_in, "slow_body"),
        (file_out, "slow_header"),
    ],
)
def test_no_endpoint_makes_us_wait_for_ever(way: str, ask: Callable[[str], object]) -> None:
    with hostile(way) as url:
        begun = time.monotonic()
        with pytest.raises((RecordNotWritten, BotoCoreError, OSError)):
            ask(url)
        # This is about waiting for ever, not about speed.
        assert time.monotonic() - begun < LIMIT_S + SLACK_S
