"""A lease in a bucket: one holder, whose name the others are told; given back, or over by itself."""

import uuid
from collections.abc import Iterator

import pytest
from upath import UPath

from hokusai_validation.errors import LockUnusable, TargetBusy
from hokusai_validation.store import lease
from hokusai_validation.store.lease import Lease
from hokusai_validation.store.lock import target_lock
from hokusai_validation.target import Endpoints, Target
from hokusai_validation_tests.moto_server import serving_aws


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[UPath]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with serving_aws() as url:
        path = UPath(f"s3://bucket/{uuid.uuid4().hex}/locks/t.json", endpoint_url=url)
        path.fs.call_s3("create_bucket", Bucket="bucket")
        monkeypatch.setenv("HOKUSAI_RESULTS_OPTIONS", f'{{"endpoint_url": "{url}"}}')
        yield path


def test_one_holds_it_and_the_others_are_told_who(place: UPath) -> None:
    first, second = Lease(place, "Busy"), Lease(place, "Busy")
    first.take("run 1")
    with pytest.raises(TargetBusy, match=r"Busy by process \d+ on .+ \(run 1, since 20"):
        second.take("run 2")
    second.leave()  # which it never had
    first.leave()
    first.leave()
    second.take("run 2")
    second.leave()


def test_a_lease_that_is_not_renewed_is_over(place: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    dead, heir = Lease(place, "Busy"), Lease(place, "Busy")
    dead.take("run 1")
    with monkeypatch.context() as aged:
        aged.setattr(lease, "LEASE_S", -1.0)  # any age is too old
        heir.take("run 2")
    dead.leave()
    with pytest.raises(TargetBusy, match="run 2"):  # the loser gave nothing back that is not its own
        Lease(place, "Busy").take("run 3")
    heir.leave()


def test_a_holder_notices_that_it_was_replaced(place: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_S", 0.05)
    holder = Lease(place, "Busy")
    holder.take("run 1")
    while not holder.lost.wait(0.01):
        place.write_bytes(b"somebody else's")
    holder.leave()


def test_runs_that_share_a_bucket_are_kept_apart(place: UPath) -> None:
    base = str(place.parent.parent)
    other = Lease(place, "Busy")
    other.take("a run elsewhere")
    target = Target(name="t", endpoints=Endpoints(registry="http://lease.test"))
    with pytest.raises(TargetBusy, match="a run elsewhere"), target_lock(target, base):
        pass
    other.leave()
    with target_lock(target, base), target_lock(target, base), pytest.raises(TargetBusy):
        other.take("a run elsewhere")


def test_a_bucket_that_is_not_there_is_said(place: UPath) -> None:
    gone = UPath("s3://nowhere-at-all/locks/t.json", **place.storage_options)
    with pytest.raises(LockUnusable, match="can't be written"):
        Lease(gone, "Busy").take("run")
