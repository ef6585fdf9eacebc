"""All rows of all targets as one Parquet dataset under Hive's names, for questions over many runs:
`dataset/target=T/date=YYYY-MM-DD/…`. Read with predicates through pyarrow's dataset, locally and on S3: only
the days, the row groups and the columns of a question are fetched. Athena reads the same files
(`deploy/athena.sql`).

A finished run adds one file to its day; days before the newest are compacted to one file each.
"""

import hashlib
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from hokusai_validation.result import Result, Status, to_frame
from hokusai_validation.store.storage import is_local, write_whole

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

FOLDER = "dataset"
# Small enough for a test's rows to lie in few groups (rows are sorted by test), large enough to compress.
ROW_GROUP = 2_000
# What most questions ask; evidence is fetched only by who asks for it.
COLUMNS = ("run_id", "test", "id", "status", "started_at", "duration_s", "message", "attempt")
BAD = (Status.BROKEN.value, Status.FAILED.value)
_IN_PATH = ["target"]
_KEY = ("run_id", "phase", "test", "attempt")


class Dataset:
    """The rows of every run that came to its report."""

    def __init__(self, base: "UPath") -> None:
        self._root = base / FOLDER

    def add(self, target: str, run_id: str, at: datetime, results: Iterable[Result]) -> str:
        """Add a run's rows to the day of `at`, and compact that target's day before it. The same run
        again replaces its rows. Returns where.

        Raises ReportNotWritten."""
        day = at.astimezone(UTC).date()
        path = self._day(target, day) / f"run-{run_id}.parquet"
        frame = to_frame(results).drop(columns=_IN_PATH).sort_values(["test", "started_at"])
        write_whole(path, _parquet(frame))
        for number in (1, 2, 3):  # no run on some days
            self.compact(target, day - timedelta(days=number))
        return str(path)

    def compact(self, target: str, day: date) -> int:
        """Make one file of a day's files; how many there were. A reader in between sees rows twice, and
        reads them once; a process that dies in between leaves both, which the next time makes one.

        Raises ReportNotWritten."""
        import pandas as pd

        folder = self._day(target, day)
        try:
            files = sorted(folder.glob("*.parquet"), key=lambda path: path.name)
        except FileNotFoundError:
            return 0
        if len(files) < 2:
            return len(files)
        frames = [pd.read_parquet(io.BytesIO(path.read_bytes())) for path in files]
        whole = pd.concat(frames, ignore_index=True).drop_duplicates(list(_KEY), keep="last")
        content = _parquet(whole.sort_values(["test", "started_at"]))
        made = folder / f"day-{hashlib.sha256(content).hexdigest()[:16]}.parquet"
        write_whole(made, content)
        for path in files:
            if path.name != made.name:
                path.unlink(missing_ok=True)
        return len(files)

    def outcomes(
        self, target: str, test: str, *, since: datetime, columns: Sequence[str] = COLUMNS
    ) -> "pa.Table":
        """Every attempt at one test since a moment, oldest first."""
        import pyarrow.compute as pc

        return self._read([target], since, pc.field("test") == test, columns)

    def failures(
        self, *, since: datetime, targets: Sequence[str] | None = None, columns: Sequence[str] = COLUMNS
    ) -> "pa.Table":
        """What failed or was broken since a moment, of these targets or all, oldest first."""
        import pyarrow.compute as pc

        return self._read(targets, since, pc.field("status").isin(list(BAD)), columns)

    def _read(
        self,
        targets: Sequence[str] | None,
        since: datetime,
        wanted: "pa.compute.Expression",
        columns: Sequence[str],
    ) -> "pa.Table":
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.dataset as ds

        hive = ds.partitioning(pa.schema([("target", pa.string()), ("date", pa.date32())]), flavor="hive")
        root, filesystem = self._source()
        places = [root] if targets is None else [f"{root}/target={target}" for target in targets]
        tables = []
        asked = list(dict.fromkeys(["target", *columns, *_KEY]))
        condition = (
            (pc.field("date") >= since.astimezone(UTC).date()) & (pc.field("started_at") >= since) & wanted
        )
        for place in places:
            try:
                found = ds.dataset(
                    place,
                    filesystem=filesystem,
                    format="parquet",
                    partitioning=hive,
                    partition_base_dir=root,
                    schema=_schema(),
                )
            except FileNotFoundError:
                continue  # nobody ran there yet
            tables.append(found.to_table(columns=asked, filter=condition))
        table = pa.concat_tables(tables) if tables else _schema().empty_table().select(asked)
        return _once(table).sort_by("started_at").select(["target", *columns])

    def _source(self) -> "tuple[str, pa.fs.FileSystem | None]":
        if is_local(self._root):
            return str(self._root.path), None
        from pyarrow.fs import FSSpecHandler, PyFileSystem

        return self._root.path, PyFileSystem(FSSpecHandler(self._root.fs))

    def _day(self, target: str, day: date) -> "UPath":
        return self._root / f"target={target}" / f"date={day.isoformat()}"


def _parquet(frame: "object") -> bytes:
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    schema = _schema()
    buffer = io.BytesIO()
    write(table.cast(pa.schema([schema.field(name) for name in table.column_names])), buffer)
    return buffer.getvalue()


def write(table: "pa.Table", sink: "io.BytesIO | str") -> None:
    """A file of rows that are sorted by test. What failed stands in row groups of its own, before the others: by
    their statistics a question about failures passes over all the rest."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    bad = pc.is_in(table["status"], pa.array(BAD))
    with pq.ParquetWriter(sink, table.schema, compression="zstd") as out:
        for rows in (table.filter(bad), table.filter(pc.invert(bad))):
            if rows.num_rows:
                out.write_table(rows, row_group_size=ROW_GROUP)


def _schema() -> "pa.Schema":
    """The columns in the files, and the two in their path."""
    import pyarrow as pa

    kinds = {
        "critical": pa.bool_(),
        "flaky": pa.bool_(),
        "attempt": pa.int64(),
        "duration_s": pa.float64(),
        "started_at": pa.timestamp("us", tz="UTC"),
    }
    fields = [(name, kinds.get(name, pa.string())) for name in Result.model_fields if name not in _IN_PATH]
    return pa.schema([*fields, ("target", pa.string()), ("date", pa.date32())])


def _once(table: "pa.Table") -> "pa.Table":
    """Each row once, also where a day is being compacted while it is read."""
    if table.num_rows == 0:
        return table
    keys = table.select(["target", *_KEY]).to_pandas()
    kept = ~keys.duplicated(keep="last")
    return table if kept.all() else table.filter(kept.to_numpy())


def ddl(location: str) -> str:
    """The table for Athena over the same files; days and targets are projected, so that no partition is
    ever registered. `location` is the bucket's prefix of the results."""
    kinds = {"string": "string", "bool": "boolean", "int64": "bigint", "double": "double"}
    schema = _schema()
    columns = [
        f"  `{field.name}` {kinds.get(str(field.type), 'timestamp')}"
        for field in schema
        if field.name not in ("target", "date")
    ]
    body = ",\n".join(columns)
    return (
        f"CREATE EXTERNAL TABLE hokusai_validation_rows (\n{body}\n)\n"
        "PARTITIONED BY (`target` string, `date` date)\n"
        "STORED AS PARQUET\n"
        f"LOCATION '{location}/{FOLDER}/'\n"
        "TBLPROPERTIES (\n"
        "  'projection.enabled' = 'true',\n"
        "  'projection.target.type' = 'injected',\n"
        "  'projection.date.type' = 'date',\n"
        "  'projection.date.format' = 'yyyy-MM-dd',\n"
        "  'projection.date.range' = '2026-01-01,NOW',\n"
        f"  'storage.location.template' = '{location}/{FOLDER}/target=${{target}}/date=${{date}}/'\n"
        ");\n"
    )
