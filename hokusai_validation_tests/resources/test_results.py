"""The store of past runs: what was reported is kept, also of killed runs, locally and on S3."""

import multiprocessing
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hokusai_validation.catalogue import phase_entries
from hokusai_validation.errors import ReportNotWritten, TargetBusy
from hokusai_validation.result import Phase, Result, Status
from hokusai_validation.runner.rows import unrun
from hokusai_validation.store.lock import target_lock
from hokusai_validation.store.results import ResultStore, Run, of_run
from hokusai_validation.store.storage import base_path, write_whole
from hokusai_validation.target import Endpoints, Target
from hokusai_validation_tests.moto_server import serving_aws

AT = datetime(2026, 1, 1, tzinfo=UTC)


def rows(run_id: str, phase: Phase, status: Status = Status.PASSED) -> tuple[Result, ...]:
    return tuple(
        unrun(entry, run_id=run_id, target=Target(name="t"), status=status, message="")
        for entry in phase_entries(phase)
    )


def begin(store: ResultStore, run_id: str, minute: int, *phases: Phase) -> None:
    store.begin(Run(run_id=run_id, target="t", started_at=AT + timedelta(minutes=minute), asked=phases))


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "results")


def test_rows_come_back_as_they_went_in(store: ResultStore) -> None:
    begin(store, "one", 0, Phase.HEALTH)
    kept = rows("one", Phase.HEALTH)
    store.append("t", of_run(Phase.HEALTH, "one", kept))
    path = str(store.rows_file("t", "one", Phase.HEALTH))
    assert store.rows("t") == kept
    assert store.phase_rows("t", "one", Phase.LOAD) is None
    frame = pd.read_parquet(Path(path).parents[2])  # a Parquet dataset, readable by anything
    assert set(frame["run_id"]) == {"one"}
    assert len(frame) == len(kept)


def test_the_newest_rows_are_those_of_the_last_run_that_finished_the_phase(store: ResultStore) -> None:
    begin(store, "old", 0, Phase.HEALTH, Phase.LOAD)
    begin(store, "new", 1, Phase.HEALTH)
    begin(store, "killed", 2, Phase.HEALTH)
    for run_id in ("old", "new"):
        store.append("t", of_run(Phase.HEALTH, run_id, rows(run_id, Phase.HEALTH)))
    store.append("t", of_run(Phase.LOAD, "old", rows("old", Phase.LOAD)))
    assert [run.run_id for run in store.runs("t")] == ["killed", "new", "old"]
    assert {row.run_id for row in store.newest("t", Phase.HEALTH).results} == {"new"}
    assert {row.run_id for row in store.newest("t", Phase.LOAD).results} == {"old"}
    assert store.newest("t", Phase.CHAOS).results == ()


def test_what_a_killed_run_had_sent_is_not_lost(store: ResultStore) -> None:
    begin(store, "killed", 0, Phase.HEALTH)
    live = Path(store.record_of("t", "killed", "health"))
    live.parent.mkdir(parents=True)
    sent = rows("killed", Phase.HEALTH)[:2]
    live.write_text("\n".join(row.model_dump_json() for row in sent) + '\n{"cut', encoding="utf-8")
    assert store.rows("t") == sent
    store.append("t", of_run(Phase.HEALTH, "killed", sent))
    assert not live.exists()
    assert store.rows("t") == sent


def test_summaries_are_the_newest_oldest_first_and_a_damaged_one_is_left_out(store: ResultStore) -> None:
    for number in range(5):
        store.add_summary("t", f"run-{number}", AT + timedelta(hours=number), {"n": number})
    assert [each["n"] for each in store.summaries("t", 3)] == [2, 3, 4]
    newest = sorted((Path(str(store.base)) / "summaries" / "t").iterdir())[-1]
    newest.write_text("{")
    assert [each["n"] for each in store.summaries("t")] == [0, 1, 2, 3]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ReportNotWritten, match=r"could not be written: .*Free some space"):
        write_whole(base_path(str(tmp_path / "file" / "below"), {}), b"x")


def test_a_failed_write_leaves_the_old_file_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = base_path(str(tmp_path / "file"), {})
    write_whole(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(ReportNotWritten, match="No space left on device"):
        write_whole(path, b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    import boto3

    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with serving_aws() as url:
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="results")
        yield {"endpoint_url": url}


def test_the_same_store_on_s3(bucket: dict[str, object]) -> None:
    store = ResultStore("s3://results/prefix", bucket)  # type: ignore[arg-type]
    begin(store, "one", 0, Phase.HEALTH)
    kept = rows("one", Phase.HEALTH)
    store.append("t", of_run(Phase.HEALTH, "one", kept))
    store.add_summary("t", "one", AT, {"n": 1})
    assert store.rows("t") == kept
    assert store.newest("t", Phase.HEALTH).results == kept
    assert store.summaries("t") == ({"n": 1},)
    assert store.record_of("t", "one", "health") == "s3://results/rows/one/health"
    assert store.keep_output("t", "one", "health", "text").endswith("health.log")
    assert "text" in store.output("t", "one")


def _hold(
    base: str, held: "multiprocessing.synchronize.Event", done: "multiprocessing.synchronize.Event"
) -> None:
    with target_lock(Target(name="t", endpoints=Endpoints(registry=f"http://one.test{base}")), base):
        held.set()
        done.wait(20)


def test_a_target_is_held_by_one_process_and_again_only_by_itself(tmp_path: Path) -> None:
    base = str(tmp_path)
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(base, held, done))
    other.start()
    try:
        assert held.wait(20)
        one, another = "http://one.test", "http://another.test"  # one name, one place, two stacks
        for url in (one, another):
            target = Target(name="t", endpoints=Endpoints(registry=url + base))
            with pytest.raises(TargetBusy, match=f"by process {other.pid}"), target_lock(target, base):
                pass
        with target_lock(Target(name="other", endpoints=Endpoints(registry=f"http://free.test{base}")), base):
            pass
    finally:
        other.kill()  # the kernel gives the lock back
        other.join()
    target = Target(name="t", endpoints=Endpoints(registry="http://one.test" + base))
    with target_lock(target, base), target_lock(target, base):
        pass


def test_a_run_dated_in_the_future_is_not_the_newest(store: ResultStore) -> None:
    now = datetime.now(UTC)
    for run_id, at in (
        ("old", now - timedelta(hours=1)),
        ("2099", now + timedelta(days=26_000)),
        ("new", now),
    ):
        store.begin(Run(run_id=run_id, target="t", started_at=at, asked=(Phase.HEALTH,)))
        store.add_summary("t", run_id, at, {"run_id": run_id})
    assert [run.run_id for run in store.runs("t")] == ["new", "old", "2099"]
    assert [each["run_id"] for each in store.summaries("t")] == ["old", "new"]
    assert [each["run_id"] for each in store.summaries("t", 1)] == ["new"]


PLACES = st.integers(0, 2**20)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.tuples(st.just("flipped"), PLACES, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("cut"), PLACES, st.just(b"")),
        st.tuples(st.just("spliced"), PLACES, st.binary(max_size=50)),
        st.tuples(st.just("other"), PLACES, st.binary(max_size=200)),
    )
)
def test_a_corrupt_file_holds_up_nothing(store: ResultStore, damage: tuple[str, int, bytes]) -> None:
    kind, place, given_bytes = damage
    file = Path(str(store.rows_file("t", "one", Phase.HEALTH)))
    whole = file.with_suffix(".whole")
    if not whole.exists():
        store.append("t", of_run(Phase.HEALTH, "one", rows("one", Phase.HEALTH)))
        file.rename(whole)
    content = bytearray(whole.read_bytes())
    place %= len(content)
    if kind == "flipped":
        content[place : place + len(given_bytes)] = given_bytes
    elif kind == "cut":
        del content[place:]
    elif kind == "spliced":
        content[place:place] = given_bytes
    else:
        content = bytearray(given_bytes)
    file.write_bytes(bytes(content))
    read = store.newest("t", Phase.HEALTH)
    assert read.results or read.troubles


def test_a_folder_in_a_files_place_holds_up_nothing(store: ResultStore) -> None:
    store.append("t", of_run(Phase.HEALTH, "one", rows("one", Phase.HEALTH)))
    file = Path(str(store.rows_file("t", "one", Phase.HEALTH)))
    file.unlink()
    file.mkdir()
    assert store.newest("t", Phase.HEALTH).troubles
