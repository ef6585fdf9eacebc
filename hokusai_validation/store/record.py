"""The record: a line of JSON a row, written whole before the next test begins. What stands there was
seen, whatever became of the messages about it.

A record is a file, or a folder in a bucket with an object a row (`00001.jsonl`, …), for what runs
where no file outlives it. Several processes may write to one.
"""

import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import JsonValue, ValidationError

from hokusai_validation import file_lock
from hokusai_validation.bounds import own_account
from hokusai_validation.errors import RecordNotWritten, UsageError
from hokusai_validation.phase_rows import Trouble, TroubleKind
from hokusai_validation.redaction import shown
from hokusai_validation.result import Phase, Result
from hokusai_validation.store.storage import default_options

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET_SCHEME = "s3://"
NUMBERS_LIMIT = 99_999


class Place(Protocol):
    """Where lines are kept."""

    def append(self, line: bytes) -> None:
        """Keep a line (without its end); it is there for good when this returns.

        Raises RecordNotWritten."""


class Record:
    """Keeps rows in their order. A row that a place refuses is tried again with the next one, and
    at the end: a full disk or a bucket that is away for a moment costs none."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._waiting: list[bytes] = []
        self._one_at_a_time = threading.Lock()

    def add(self, row: Result) -> None:
        """Keep a row: its line is on disk, or waits where that fails."""
        with self._one_at_a_time:
            self._waiting.append(row.model_dump_json().encode())
            try:
                self._write()
            except RecordNotWritten:
                return

    def close(self) -> None:
        """Write what still waits.

        Raises RecordNotWritten."""
        with self._one_at_a_time:
            self._write()

    def _write(self) -> None:
        while self._waiting:
            self._place.append(self._waiting[0])
            self._waiting.pop(0)


class FilePlace:
    """A file of lines.

    Raises UsageError when it can't be opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UsageError(f"Rows can't be written to {path}: {error.strerror}.") from None

    def append(self, line: bytes) -> None:
        """One line, whole and synced. Where a line was cut before (a process died, a disk was full),
        that one ends here and stays by itself."""
        try:
            file_lock.take(self._handle)
            try:
                size = os.lseek(self._handle, 0, os.SEEK_END)
                cut = size > 0 and os.pread(self._handle, 1, size - 1) != b"\n"
                left = memoryview((b"\n" if cut else b"") + line + b"\n")
                while left:
                    left = left[os.write(self._handle, left) :]
                os.fsync(self._handle)
            finally:
                file_lock.leave(self._handle)
        except OSError as error:
            raise RecordNotWritten(
                f"Rows could not be written to {self._path}: {error.strerror}. Free some space, then run again."
            ) from None


class BucketPlace:
    """Numbered objects under `s3://BUCKET/PREFIX/`, none ever written twice."""

    def __init__(self, address: str, client: "S3Client") -> None:
        self._address = address
        self._bucket, self._prefix = bucket_and_prefix(address)
        self._client = client
        self._number = 1

    def append(self, line: bytes) -> None:
        """One object under the next free number. A repetition finds the object that a lost answer
        told nothing of, and takes it for its own."""
        while self._number <= NUMBERS_LIMIT:
            key = f"{self._prefix}{self._number:05d}.jsonl"
            if self._put(key, line + b"\n"):
                self._number += 1
                return
            self._number += 1  # another process has this one
        raise RecordNotWritten(f"{self._address} holds {NUMBERS_LIMIT} rows, and takes no more.")

    def _put(self, key: str, body: bytes) -> bool:
        """Whether the object is ours; False where another one has the name."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")
            return True
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in ("PreconditionFailed", "412"):
                raise self._refused(error) from None
        except BotoCoreError as error:
            raise self._refused(error) from None
        try:
            held = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except (ClientError, BotoCoreError) as error:
            raise self._refused(error) from None
        return bool(held == body)

    def _refused(self, error: Exception) -> RecordNotWritten:
        return RecordNotWritten(
            f"Rows could not be written to {self._address}: {shown(error, 300)}."
            " Check the task's right to s3:PutObject there."
        )


def is_file(address: str) -> bool:
    """Whether it is a path, and no folder in a bucket."""
    return not address.startswith(BUCKET_SCHEME)


def name_of(phase: Phase, again: int = 0) -> str:
    """A record's name; `again` counts the executions of the phase before this one, in the same run."""
    return phase.value if again == 0 else f"{phase.value}-{again + 1}"


def in_bucket(bucket: str, run_id: str, name: str) -> str:
    """The address of a record in a bucket."""
    return f"{BUCKET_SCHEME}{bucket}/rows/{run_id}/{name}"


def place(address: str) -> Place:
    """What is written to.

    Raises UsageError when it can't be opened."""
    return (
        FilePlace(Path(address)) if is_file(address) else BucketPlace(address, s3_client(default_options()))
    )


def read(address: str, options: Mapping[str, JsonValue]) -> "Recorded":
    """Everything that stands there. `options` are fsspec's, as everywhere for results.

    Raises botocore's errors."""
    return read_file(Path(address)) if is_file(address) else read_bucket(address, s3_client(options))


def s3_client(options: Mapping[str, JsonValue]) -> "S3Client":
    """For records: a row waits less than a test would."""
    return own_account.s3(options)


def bucket_and_prefix(address: str) -> tuple[str, str]:
    """Of `s3://BUCKET/PREFIX`; the prefix ends with a slash."""
    bucket, _, prefix = address.removeprefix(BUCKET_SCHEME).partition("/")
    return bucket, f"{prefix.rstrip('/')}/"


@dataclass(frozen=True)
class Recorded:
    """What stands in a record: rows as they came, and what could not be read."""

    rows: tuple[Result, ...] = ()
    troubles: tuple[Trouble, ...] = ()


def read_file(path: Path) -> Recorded:
    """Of a file; empty where there is none. A line that is cut or damaged is left out and said."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Recorded()
    *lines, last = content.split(b"\n")
    found = _read(((f"line {number}", line) for number, line in enumerate(lines, 1) if line))
    if not last:
        return found
    # Whole without its line's end: only that was cut off.
    whole = _read([("last line", last)])
    if whole.rows:
        return Recorded(_distinct((*found.rows, *whole.rows)), found.troubles)
    cut = Trouble(
        kind=TroubleKind.ROW_CUT,
        text=f"The record's last line was cut off after {len(last)} bytes, by the end of the process that"
        " wrote it: its row is left out.",
    )
    return Recorded(found.rows, (*found.troubles, cut))


def read_bucket(address: str, client: "S3Client") -> Recorded:
    """Of a folder in a bucket, in the order of the numbers. A number that is missing is said.

    Raises botocore's errors."""
    bucket, prefix = bucket_and_prefix(address)
    keys = _keys(client, bucket, prefix)
    names = [key.removeprefix(prefix) for key in keys]
    bodies = (client.get_object(Bucket=bucket, Key=key)["Body"].read().rstrip(b"\n") for key in keys)
    found = _read(((f"object {name}", body) for name, body in zip(names, bodies, strict=True)))
    numbers = {int(name.partition(".")[0]) for name in names if name.partition(".")[0].isdigit()}
    missing = sorted(set(range(1, max(numbers, default=0))) - numbers)
    gaps = tuple(
        Trouble(
            kind=TroubleKind.ROW_MISSING,
            text=f"Object {number:05d}.jsonl of the record is not there, and a later one is.",
        )
        for number in missing
    )
    return Recorded(found.rows, (*found.troubles, *gaps))


def _keys(client: "S3Client", bucket: str, prefix: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))


def _read(lines: Iterable[tuple[str, bytes]]) -> Recorded:
    rows: list[Result] = []
    troubles: list[Trouble] = []
    for name, line in lines:
        try:
            rows.append(Result.model_validate_json(line))
        except ValidationError:
            troubles.append(
                Trouble(
                    kind=TroubleKind.ROW_DAMAGED,
                    text=f"The record's {name} is no row ({len(line)} bytes): it is left out.",
                )
            )
    return Recorded(_distinct(rows), tuple(troubles))


def _distinct(rows: Iterable[Result]) -> tuple[Result, ...]:
    """Without repetitions: a row whose writer was interrupted before it knew is written again."""
    seen: dict[tuple[str, str, str, int], Result] = {}
    for row in rows:
        seen.setdefault((row.run_id, row.phase, row.test, row.attempt), row)
    return tuple(seen.values())


class Tail:
    """A growing file's whole lines, each byte read once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def fresh(self) -> list[bytes]:
        """Those that have become whole since it was last asked."""
        try:
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_size <= self._offset:
                    return []
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return []
        *lines, last = content.split(b"\n")
        self._offset += len(content) - len(last)
        return lines


class Growth(Protocol):
    """Follows a record while it is written: `rows` tells by then whether its writer is alive."""

    rows: int

    def fresh(self) -> tuple[Result, ...]:
        """The rows that have come since, where they can be had cheaply."""


class FileGrowth:
    """Of a file."""

    def __init__(self, path: Path) -> None:
        self._tail = Tail(path)
        self.rows = 0

    def fresh(self) -> tuple[Result, ...]:
        """Those whose lines have become whole."""
        lines = self._tail.fresh()
        self.rows += len(lines)
        return _read(("", line) for line in lines).rows


class BucketGrowth:
    """Of a folder in a bucket, listed now and then."""

    EVERY_S = 30.0

    def __init__(self, address: str, client: "S3Client") -> None:
        self._bucket, self._prefix = bucket_and_prefix(address)
        self._client = client
        self._listed = time.monotonic()
        self.rows = 0

    def fresh(self) -> tuple[Result, ...]:
        """None: its objects are only counted."""
        if time.monotonic() - self._listed >= self.EVERY_S:
            self.rows = len(_keys(self._client, self._bucket, self._prefix))
            self._listed = time.monotonic()
        return ()


def growth(address: str, options: Mapping[str, JsonValue]) -> Growth:
    """Of what is written to."""
    return FileGrowth(Path(address)) if is_file(address) else BucketGrowth(address, s3_client(options))
