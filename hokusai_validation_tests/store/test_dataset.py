"""The dataset of all rows: what goes in comes out once, by day, target and test, locally and on S3."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pyarrow.parquet as pq
import pytest
from upath import UPath

from hokusai_validation.result import Category, Phase, Result, Status
from hokusai_validation.store.dataset import Dataset, ddl
from hokusai_validation.store.results import ResultStore, of_run
from hokusai_validation_tests.moto_server import serving_aws

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def row(run_id: str, test: str, at: datetime, *, status: Status = Status.PASSED, target: str = "t") -> Result:
    return Result(
        run_id=run_id,
        target=target,
        phase=Phase.HEALTH,
        category=Category.INTEGRATION,
        id="I01",
        test=test,
        component="api",
        critical=True,
        status=status,
        started_at=at,
        evidence={"seen": "x"},
    )


@pytest.fixture(scope="module")
def bucket() -> Iterator[UPath]:
    with serving_aws() as url, pytest.MonkeyPatch.context() as patched:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patched.setenv(name, "testing")
        boto3.client("s3", region_name="us-east-1", endpoint_url=url).create_bucket(Bucket="history")
        yield UPath("s3://history/results", client_kwargs={"endpoint_url": url, "region_name": "us-east-1"})


@pytest.fixture(params=["local", "s3"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> UPath:
    if request.param == "local":
        return UPath(tmp_path)
    found: UPath = request.getfixturevalue("bucket") / tmp_path.name
    return found


def test_rows_come_out_once_whatever_was_compacted(base: UPath) -> None:
    dataset = Dataset(base)
    for number in range(6):
        at = DAY + timedelta(hours=8 * number)
        tests = [row(f"r{number}", name, at) for name in ("A::a", "B::b")]
        dataset.add("t", f"r{number}", at, tests)
        dataset.add("t", f"r{number}", at, tests)
    found = dataset.outcomes("t", "A::a", since=DAY).to_pylist()
    assert [each["run_id"] for each in found] == [f"r{number}" for number in range(6)]
    days = {path.parent.name: path.name[:4] for path in (base / "dataset" / "target=t").glob("*/*.parquet")}
    assert days["date=2026-03-01"] == "day-"
    assert dataset.outcomes("t", "A::a", since=DAY + timedelta(hours=20)).num_rows == 3
    assert dataset.outcomes("nobody", "A::a", since=DAY).num_rows == 0


def test_failures_of_all_targets_or_some(base: UPath) -> None:
    dataset = Dataset(base)
    for name in ("one", "two"):
        rows = [
            row("r", "A::a", DAY, target=name),
            row("r", "B::b", DAY, target=name, status=Status.FAILED),
            row("r", "C::c", DAY, target=name, status=Status.BROKEN),
        ]
        dataset.add(name, "r", DAY, rows)
    every = dataset.failures(since=DAY - timedelta(days=7)).to_pylist()
    assert {(each["target"], each["test"]) for each in every} == {
        (name, test) for name in ("one", "two") for test in ("B::b", "C::c")
    }
    some = dataset.failures(since=DAY - timedelta(days=7), targets=["two"])
    assert some.column("target").to_pylist() == ["two", "two"]
    assert dataset.failures(since=DAY + timedelta(days=1)).num_rows == 0


def test_a_compaction_that_died_half_way_shows_nothing_twice(tmp_path: Path) -> None:
    base = UPath(tmp_path)
    dataset = Dataset(base)
    dataset.add("t", "r1", DAY, [row("r1", "A::a", DAY)])
    kept = next((tmp_path / "dataset/target=t/date=2026-03-01").iterdir())
    content = kept.read_bytes()
    dataset.add("t", "r2", DAY, [row("r2", "A::a", DAY)])
    dataset.compact("t", DAY.date())
    kept.write_bytes(content)
    assert dataset.outcomes("t", "A::a", since=DAY).num_rows == 2
    assert dataset.compact("t", DAY.date()) == 2
    assert len(list(kept.parent.iterdir())) == 1


def test_the_ddl_speaks_of_the_files_columns(tmp_path: Path) -> None:
    path = Dataset(UPath(tmp_path)).add("t", "r", DAY, [row("r", "A::a", DAY)])
    written = ddl("s3://BUCKET/results")
    assert (ROOT / "deploy" / "athena.sql").read_text().endswith(written)
    for name in pq.read_schema(path).names:
        assert f"  `{name}` " in written


def test_the_newest_rows_are_read_without_listing(base: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ResultStore(str(base), base.storage_options)
    store.append("t", of_run(Phase.HEALTH, "r1", [row("r1", "A::a", DAY)]))
    store.append("t", of_run(Phase.HEALTH, "r2", [row("r2", "A::a", DAY)]))
    monkeypatch.setattr(type(store.base), "glob", lambda *_: pytest.fail("listed"))
    assert [each.run_id for each in store.newest("t", Phase.HEALTH).results] == ["r2"]
    assert store.newest("t", Phase.LOAD).results == ()
