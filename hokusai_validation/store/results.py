"""The rows and summaries of past runs: the audit trail beside Dagster's own history.

Layout under the base: `rows/target=T/run_id=R/PHASE.parquet` (a Parquet dataset), `runs/T/TIME_R.json`
(one small file a run, written when it starts: names sort by time), `summaries/T/TIME_R.json` (what a
trend reads), `live/T/R/PHASE.jsonl` (the record of a phase until its Parquet file is whole; on S3
`BUCKET/rows/R/PHASE/00001.jsonl` …, which stay), `newest/T/PHASE.json` (which run finished a phase last),
`dataset/` (see `store.dataset`), `output/T/R/PHASE.log`, `targets/T/R.json` (what the run validated),
`confirmations/T/R.json` (that a person confirmed a run on production), `told/T/` (what is said once), `reports/T/R/`,
`assets/T/aggregate.json` (the newest report, handed from `aggregate` to `report`).
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from hokusai_validation.effective import Snapshot
from hokusai_validation.permission import Confirmation
from hokusai_validation.phase_rows import PhaseRows, Trouble, TroubleKind
from hokusai_validation.redaction import shown
from hokusai_validation.report import Report
from hokusai_validation.result import Phase, Result, from_frame, to_frame
from hokusai_validation.store import record
from hokusai_validation.store.storage import base_path, is_local, write_whole

if TYPE_CHECKING:
    from upath import UPath

_TRIES = 3  # executions of a phase in one run that are told apart
_IN_PATH = ["target", "run_id"]  # columns that a reader of the dataset has from the path
_METADATA = b"hokusai"  # of a Parquet file: its PhaseRows without the rows
_TIME = "%Y%m%dT%H%M%S%fZ"
# Between the clocks of machines that keep time. What is dated later was dated by a wrong one.
SKEW = timedelta(minutes=5)
# What pyarrow, pandas and we raise of a file that is not what was written: pyarrow's are of these kinds.
_DAMAGED = (
    *(OSError, ValueError, LookupError, AttributeError, TypeError, NotImplementedError),
    *(MemoryError, OverflowError, RecursionError),
)


class Run(BaseModel):
    """One run of a target, as written when it started. `asked` are the phases it was asked for."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: str
    target: str
    started_at: datetime
    asked: tuple[Phase, ...] = ()


class ResultStore:
    """What is kept of every run."""

    def __init__(self, base: str | Path, options: Mapping[str, JsonValue] | None = None) -> None:
        self.base: UPath = base_path(str(base), dict(options or {}))

    def begin(self, run: Run) -> None:
        """Note that a run has started. A second note of the same run changes nothing.

        Raises ReportNotWritten."""
        if any(known.run_id == run.run_id for known in self._newest_runs(run.target, 20)):
            return
        write_whole(
            self._dated("runs", run.target, run.started_at, run.run_id), run.model_dump_json().encode()
        )

    def confirm(self, confirmation: Confirmation) -> None:
        """Keep that a person confirmed a run.

        Raises ReportNotWritten."""
        path = self._confirmation(confirmation.target, confirmation.run_id)
        write_whole(path, confirmation.model_dump_json().encode())

    def confirmation(self, target: str, run_id: str) -> Confirmation | None:
        """Whether and by whom a run was confirmed; what can't be read confirms nothing."""
        try:
            return Confirmation.model_validate_json(self._confirmation(target, run_id).read_bytes())
        except (OSError, ValidationError):
            return None

    def _confirmation(self, target: str, run_id: str) -> "UPath":
        return self.base / "confirmations" / target / f"{run_id}.json"

    def first_time(self, target: str, what: str) -> bool:
        """Whether something is told of a target for the first time, which is over with this call.

        Raises ReportNotWritten."""
        path = self.base / "told" / target / f"{what}.json"
        if path.exists():
            return False
        write_whole(path, json.dumps({"at": datetime.now(UTC).isoformat()}).encode())
        return True

    def runs(self, target: str) -> tuple[Run, ...]:
        """Every run of a target, newest first; those that a wrong clock dated in the future come last."""
        return tuple(self._newest_runs(target, None))

    def append(self, target: str, rows: PhaseRows) -> None:
        """Keep a phase's rows for good; their record on this machine makes room. Appending the same
        phase of the same run again replaces it.

        Raises ReportNotWritten."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(to_frame(rows.results).drop(columns=_IN_PATH), preserve_index=False)
        said = rows.model_dump_json(exclude={"results"}).encode()
        buffer = io.BytesIO()
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, _METADATA: said}), buffer)
        run_id = rows.run_id or ""
        write_whole(self.rows_file(target, run_id, rows.phase), buffer.getvalue())
        write_whole(self._newest_file(target, rows.phase), json.dumps({"run_id": run_id}).encode())
        for number in range(_TRIES):
            address = self.record_of(target, run_id, record.name_of(rows.phase, number))
            if record.is_file(address):
                Path(address).unlink(missing_ok=True)

    def keep_target(self, target: str, kept: Snapshot) -> None:
        """Keep what a run validates, for its later phases and for whoever reads its rows.

        Raises ReportNotWritten."""
        write_whole(self._snapshot(target, kept.run_id), kept.model_dump_json().encode())

    def target(self, target: str, run_id: str) -> Snapshot | None:
        """What a run validated; None where that was not kept."""
        try:
            return Snapshot.model_validate_json(self._snapshot(target, run_id).read_bytes())
        except (OSError, ValidationError):
            return None

    def rows_file(self, target: str, run_id: str, phase: Phase) -> "UPath":
        """Where the rows of a run's phase lie, or will."""
        return self.base / "rows" / f"target={target}" / f"run_id={run_id}" / f"{phase.value}.parquet"

    def phase_rows(self, target: str, run_id: str, phase: Phase) -> PhaseRows | None:
        """A run's rows of a phase, or None where the run did not finish it. Of a file that can't be read
        no rows, and the trouble: it holds up no other phase."""
        import pyarrow.parquet as pq

        try:
            content = self.rows_file(target, run_id, phase).read_bytes()
            table = pq.read_table(io.BytesIO(content))
            results = from_frame(table.to_pandas().assign(target=target, run_id=run_id))
            said = (table.schema.metadata or {}).get(_METADATA)
            known = of_run(phase, run_id, results) if said is None else PhaseRows.model_validate_json(said)
        except FileNotFoundError:
            return None
        except _DAMAGED as error:
            text = f"The rows of run {run_id} can't be read and are left out: {shown(error, 200)}"
            return PhaseRows(
                phase=phase, run_id=run_id, troubles=(Trouble(kind=TroubleKind.ROW_DAMAGED, text=text),)
            )
        return known.model_copy(update={"results": results})

    def newest(self, target: str, phase: Phase) -> PhaseRows:
        """The rows of the newest run that finished a phase; none where no run did. Two files are read,
        and nothing is listed, however many runs there were."""
        none = PhaseRows(phase=phase, run_id=None, asked=False)
        try:
            run_id = str(json.loads(self._newest_file(target, phase).read_bytes())["run_id"])
        except (OSError, ValueError, KeyError, TypeError):
            return none
        return self.phase_rows(target, run_id, phase) or none

    def _newest_file(self, target: str, phase: Phase) -> "UPath":
        return self.base / "newest" / target / f"{phase.value}.json"

    def rows(self, target: str, runs: Sequence[str] | None = None) -> tuple[Result, ...]:
        """The rows of a target's runs (all of them by default), newest run first, also those that a
        killed run had on record."""
        found: list[Result] = []
        for run in self.runs(target):
            for phase in run.asked if runs is None or run.run_id in runs else ():
                kept = self.phase_rows(target, run.run_id, phase)
                whole = kept.results if kept is not None else ()
                found += whole or self._recorded(target, run.run_id, phase)
        return tuple(found)

    def record_of(self, target: str, run_id: str, name: str) -> str:
        """Where a suite process puts its rows on record: a file, or `s3://BUCKET/rows/RUN/NAME`."""
        if is_local(self.base):
            return str(Path(str(self.base)) / "live" / target / run_id / f"{name}.jsonl")
        return record.in_bucket(self.base.parts[0].strip("/"), run_id, name)

    def keep_report(self, report: Report) -> None:
        """Keep the newest report, for whoever renders it.

        Raises ReportNotWritten."""
        write_whole(self._report_file(report.target), report.model_dump_json().encode())

    def report(self, target: str) -> Report:
        """The newest report.

        Raises FileNotFoundError where there is none."""
        return Report.model_validate_json(self._report_file(target).read_bytes())

    def output_folder(self, target: str, run_id: str) -> "UPath":
        """Where what a run's phases printed is kept, and what they found before the report."""
        return self.base / "output" / target / run_id

    def keep_output(self, target: str, run_id: str, phase: str, text: str) -> str:
        """Keep what a phase's process printed (masked by the caller); returns where.

        Raises ReportNotWritten."""
        path = self.output_folder(target, run_id) / f"{phase}.log"
        write_whole(path, text.encode(errors="replace"))
        return str(path)

    def output(self, target: str, run_id: str) -> str:
        """What all of a run's processes printed, in the order of the phases."""
        parts = []
        for phase in Phase:
            path = self.base / "output" / target / run_id / f"{phase.value}.log"
            if path.exists():
                parts.append(f"===== {phase.value} =====\n{path.read_text(encoding='utf-8')}")
        return "\n".join(parts)

    def add_summary(self, target: str, run_id: str, at: datetime, summary: Mapping[str, JsonValue]) -> None:
        """Keep what later runs need to know of this one.

        Raises ReportNotWritten."""
        write_whole(self._dated("summaries", target, at, run_id), json.dumps(summary).encode())

    def summaries(self, target: str, newest: int | None = None) -> tuple[dict[str, JsonValue], ...]:
        """The summaries of the newest runs, oldest first; one that can't be read is left out, and one that is
        dated in the future: it would stay the newest for as long."""
        found = []
        for path in [path for path in self._dated_files("summaries", target) if not _ahead(path)][:newest]:
            try:
                found.append(json.loads(path.read_bytes()))
            except (OSError, ValueError):
                continue
        return tuple(reversed(found))

    def summaries_of(self, target: str, prefix: str) -> tuple[dict[str, JsonValue], ...]:
        """The summaries of the runs whose id begins so, oldest first, without reading the others."""
        found = []
        for path in self._dated_files("summaries", target):
            if path.name.partition("_")[2].startswith(prefix):
                try:
                    found.append(json.loads(path.read_bytes()))
                except (OSError, ValueError):
                    continue
        return tuple(reversed(found))

    def keep_news(self, target: str, news: bytes) -> None:
        """Keep what people may have to be told of the newest run.

        Raises ReportNotWritten."""
        write_whole(self._news_file(target), news)

    def news(self, target: str) -> bytes | None:
        """What was kept so last; None where nothing was. One file is read."""
        try:
            return self._news_file(target).read_bytes()
        except FileNotFoundError:
            return None

    def _news_file(self, target: str) -> "UPath":
        return self.base / "newest" / target / "news.json"

    def targets(self) -> tuple[str, ...]:
        """Every target with a run on record, by name."""
        try:
            return tuple(sorted(path.name for path in (self.base / "summaries").iterdir() if path.is_dir()))
        except FileNotFoundError:
            return ()

    @property
    def reports(self) -> "UPath":
        """Where the documents of all targets lie."""
        return self.base / "reports"

    def _snapshot(self, target: str, run_id: str) -> "UPath":
        return self.base / "targets" / target / f"{run_id}.json"

    def _report_file(self, target: str) -> "UPath":
        return self.base / "assets" / target / "aggregate.json"

    def _recorded(self, target: str, run_id: str, phase: Phase) -> tuple[Result, ...]:
        """What an execution of a phase that did not end had on record: the newest execution's."""
        for again in reversed(range(_TRIES)):
            address = self.record_of(target, run_id, record.name_of(phase, again))
            rows = record.read(address, self.base.storage_options).rows
            if rows:
                return rows
        return ()

    def _newest_runs(self, target: str, limit: int | None) -> Iterator[Run]:
        for path in self._dated_files("runs", target)[:limit]:
            try:
                yield Run.model_validate_json(path.read_bytes())
            except (OSError, ValidationError):
                continue

    def _dated(self, kind: str, target: str, at: datetime, run_id: str) -> "UPath":
        return self.base / kind / target / f"{at.astimezone(UTC).strftime(_TIME)}_{run_id}.json"

    def _dated_files(self, kind: str, target: str) -> list["UPath"]:
        """Newest first, behind them those of the future."""
        folder = self.base / kind / target
        try:
            return sorted(folder.glob("*.json"), key=lambda path: (not _ahead(path), path.name), reverse=True)
        except FileNotFoundError:
            return []


def _ahead(path: "UPath") -> bool:
    """Whether a file's name dates it in the future."""
    return path.name.partition("_")[0] > (datetime.now(UTC) + SKEW).strftime(_TIME)


def of_run(phase: Phase, run_id: str, results: Sequence[Result]) -> PhaseRows:
    """Rows with the times that they tell themselves."""
    begun = min((row.started_at for row in results), default=None)
    ended = max((row.started_at + timedelta(seconds=row.duration_s) for row in results), default=None)
    return PhaseRows(
        phase=phase,
        run_id=run_id,
        results=tuple(results),
        finished_at=ended,
        duration_s=None if begun is None or ended is None else (ended - begun).total_seconds(),
    )
