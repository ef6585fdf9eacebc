"""Target files in a bucket are read as those in a folder are."""

import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import certifi
import pytest

from hokusai_validation.bounds import own_account
from hokusai_validation.errors import TargetNotFound
from hokusai_validation.store import scratch, target_files
from hokusai_validation.target import TARGETS_VARIABLE, read_target, targets_dir
from hokusai_validation_tests.moto_server import serving_aws

Put = Callable[[str, bytes], None]


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Iterator[Put]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "an-example")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with serving_aws() as url:
        monkeypatch.setenv("HOKUSAI_RESULTS_OPTIONS", json.dumps({"endpoint_url": url}))
        client, bucket = own_account.s3({"endpoint_url": url}), f"targets-{uuid.uuid4().hex}"
        client.create_bucket(Bucket=bucket)
        monkeypatch.setenv(TARGETS_VARIABLE, f"s3://{bucket}/targets")
        yield lambda key, body: client.put_object(Bucket=bucket, Key=key, Body=body) and None
    folder = targets_dir()
    if folder.is_absolute():
        scratch.remove(folder)


def test_they_are_copied_and_named_instead(put: Put) -> None:
    put("targets/one.toml", b'name = "one"\n[tls]\nca_file = "ca.pem"\n')
    put("targets/ca.pem", Path(certifi.where()).read_bytes())
    put("targets/readme.txt", b"no target")
    put("targets/below/two.toml", b'name = "two"\n')
    target_files.fetch()
    assert sorted(path.name for path in targets_dir().iterdir()) == ["ca.pem", "one.toml"]
    assert str(read_target("one").tls.ca_file) == str(targets_dir() / "ca.pem")
    before = os.environ[TARGETS_VARIABLE]
    target_files.fetch()
    assert os.environ[TARGETS_VARIABLE] == before


def test_a_folder_without_any_is_told(put: Put) -> None:
    put("targets/readme.txt", b"no target")
    with pytest.raises(TargetNotFound, match="no target file"):
        target_files.fetch()


def test_what_is_too_large_is_told(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("targets/one.toml", b'name = "one"')
    monkeypatch.setattr(target_files, "FILE_LIMIT_BYTES", 5)
    with pytest.raises(TargetNotFound, match=r"targets/one.toml .* has 12 bytes"):
        target_files.fetch()


def test_a_bucket_that_cannot_be_read_is_told(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TARGETS_VARIABLE, "s3://nowhere-at-all/targets")
    with pytest.raises(TargetNotFound, match="NoSuchBucket"):
        target_files.fetch()


def test_a_folder_of_this_machine_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TARGETS_VARIABLE, "/srv/targets")
    target_files.fetch()
    assert os.environ[TARGETS_VARIABLE] == "/srv/targets"
