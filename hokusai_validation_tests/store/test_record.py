"""The record: whole lines or none, whoever writes and however it ends."""

import errno
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.catalogue import Entry, entries
from hokusai_validation.errors import RecordNotWritten, UsageError
from hokusai_validation.phase_rows import TroubleKind
from hokusai_validation.result import Result, Status
from hokusai_validation.runner.rows import unrun
from hokusai_validation.store import record
from hokusai_validation.store.record import BucketPlace, FilePlace, Record, Tail, read_bucket, read_file
from hokusai_validation.target import Target
from hokusai_validation_tests.moto_server import serving_aws

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ALL = entries()


def row(entry: Entry) -> Result:
    return unrun(entry, run_id="r", target=Target(name="t"), status=Status.PASSED, message="")


def kinds(recorded: record.Recorded) -> list[TroubleKind]:
    return [trouble.kind for trouble in recorded.troubles]


def test_rows_are_on_disk_at_once_and_a_cut_line_is_left_out_and_said(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    keeping = Record(FilePlace(file))
    keeping.add(row(ALL[0]))
    keeping.add(row(ALL[1]))
    assert [each.test for each in read_file(file).rows] == [ALL[0].test, ALL[1].test]
    with file.open("ab") as out:
        out.write(row(ALL[2]).model_dump_json().encode()[:-40])
    recorded = read_file(file)
    assert len(recorded.rows) == 2
    assert kinds(recorded) == [TroubleKind.ROW_CUT]
    assert read_file(tmp_path / "none") == record.Recorded()
    # the next writer starts a line of its own
    Record(FilePlace(file)).add(row(ALL[3]))
    recorded = read_file(file)
    assert [each.test for each in recorded.rows] == [ALL[0].test, ALL[1].test, ALL[3].test]
    assert kinds(recorded) == [TroubleKind.ROW_DAMAGED]


@given(at=st.integers(min_value=0, max_value=10_000))
def test_a_record_that_was_cut_anywhere_holds_all_rows_before(at: int) -> None:
    lines = [row(entry).model_dump_json().encode() + b"\n" for entry in ALL[:12]]
    whole = b"".join(lines)
    content = whole[: at % (len(whole) + 1)]
    path = Path(os.environ["PYTEST_CUT_FOLDER"]) / "rows.jsonl"
    path.write_bytes(content)
    recorded = read_file(path)
    ends = [sum(map(len, lines[: number + 1])) - 1 for number in range(len(lines))]
    assert len(recorded.rows) == sum(end <= len(content) for end in ends)
    whole_lines = content.endswith(b"\n") or len(content) in (0, *ends)
    assert kinds(recorded) == ([] if whole_lines else [TroubleKind.ROW_CUT])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_CUT_FOLDER", str(tmp_path))


def test_a_file_that_cannot_be_opened_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Rows can't be written to"):
        FilePlace(tmp_path / "no" / "such" / "folder.jsonl")


def test_a_full_disk_costs_no_row_when_there_is_space_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, write, full = tmp_path / "rows.jsonl", os.write, [False]

    def short(handle: int, content: memoryview) -> int:
        if full[0] and len(content) < 200:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, bytes(content)[:150] if full[0] else bytes(content))

    monkeypatch.setattr("hokusai_validation.store.record.os.write", short)
    keeping = Record(FilePlace(file))
    keeping.add(row(ALL[0]))
    full[0] = True
    keeping.add(row(ALL[1]))
    with pytest.raises(RecordNotWritten, match="No space left on device"):
        keeping.close()
    full[0] = False
    keeping.add(row(ALL[2]))
    keeping.close()
    assert [each.test for each in read_file(file).rows] == [entry.test for entry in ALL[:3]]


def _write(path: Path, first: int, number: int) -> None:
    keeping = Record(FilePlace(path))
    for entry in ALL[first : first + number]:
        keeping.add(row(entry).model_copy(update={"detail": entry.id * 20_000}))
    os.kill(os.getpid(), signal.SIGKILL)


def test_processes_that_write_at_once_and_are_killed_lose_nothing(tmp_path: Path) -> None:
    file, context = tmp_path / "rows.jsonl", multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(file, 20 * number, 20)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == -signal.SIGKILL
    recorded = read_file(file)
    assert sorted(each.test for each in recorded.rows) == sorted(entry.test for entry in ALL[:60])
    assert recorded.troubles == ()


@given(chunks=st.lists(st.binary(max_size=30), max_size=20))
def test_a_tail_gives_every_whole_line_once(chunks: list[bytes]) -> None:
    path = Path(os.environ["PYTEST_CUT_FOLDER"]) / "tail"
    path.unlink(missing_ok=True)
    tail, seen = Tail(path), list[bytes]()
    for chunk in chunks:
        with path.open("ab") as out:
            out.write(chunk)
        seen += tail.fresh()
    assert seen == b"".join(chunks).split(b"\n")[:-1]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator["S3Client"]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with serving_aws() as url:
        client = record.s3_client({"endpoint_url": url})
        client.create_bucket(Bucket="records")
        yield client


def test_a_bucket_holds_an_object_a_row_and_none_is_written_twice(s3: "S3Client") -> None:
    address = record.in_bucket("records", "run-1", "health")
    first, second = Record(BucketPlace(address, s3)), Record(BucketPlace(address, s3))
    for number, entry in enumerate(ALL[:6]):
        (first if number % 2 else second).add(row(entry))
    recorded = read_bucket(address, s3)
    assert [each.test for each in recorded.rows] == [entry.test for entry in ALL[:6]]
    assert recorded.troubles == ()
    listed = s3.list_objects_v2(Bucket="records", Prefix="rows/run-1/")["Contents"]
    names = [item["Key"] for item in listed]
    assert names == [f"rows/run-1/health/{number:05d}.jsonl" for number in range(1, 7)]
    assert read_bucket(record.in_bucket("records", "run-1", "load"), s3).rows == ()


def test_a_gap_and_a_damaged_object_are_said(s3: "S3Client") -> None:
    address = record.in_bucket("records", "run-2", "health")
    keeping = Record(BucketPlace(address, s3))
    for entry in ALL[:4]:
        keeping.add(row(entry))
    s3.delete_object(Bucket="records", Key="rows/run-2/health/00002.jsonl")
    s3.put_object(Bucket="records", Key="rows/run-2/health/00003.jsonl", Body=b'{"run_id"')
    recorded = read_bucket(address, s3)
    assert [each.test for each in recorded.rows] == [ALL[0].test, ALL[3].test]
    assert kinds(recorded) == [TroubleKind.ROW_DAMAGED, TroubleKind.ROW_MISSING]


def test_an_answer_that_was_lost_costs_no_row_and_doubles_none(s3: "S3Client") -> None:
    address = record.in_bucket("records", "run-3", "health")
    keeping = Record(BucketPlace(address, s3))
    first = row(ALL[0])
    keeping.add(first)
    # The object is there, and the writer does not know: as after a connection that broke.
    again = BucketPlace(address, s3)
    again.append(first.model_dump_json().encode())
    again.append(row(ALL[1]).model_dump_json().encode())
    recorded = read_bucket(address, s3)
    assert [each.test for each in recorded.rows] == [ALL[0].test, ALL[1].test]
    assert len(s3.list_objects_v2(Bucket="records", Prefix="rows/run-3/")["Contents"]) == 2


def test_a_bucket_that_refuses_is_one_sentence_and_the_row_waits(s3: "S3Client") -> None:
    address = record.in_bucket("not-there", "run-4", "health")
    keeping = Record(BucketPlace(address, s3))
    keeping.add(row(ALL[0]))
    with pytest.raises(RecordNotWritten, match="Check the task's right to s3:PutObject"):
        keeping.close()
    s3.create_bucket(Bucket="not-there")
    keeping.close()
    assert [each.test for each in read_bucket(address, s3).rows] == [ALL[0].test]
