"""The rows and summaries of past runs: the audit trail beside Dagster's own history.

Layout under the base: `rows/target=T/run_id=R/PHASE.parquet` (a Parquet dataset), `runs/T/TIME_R.json`
(one small file a run, written when it starts: names sort by time), `summaries/T/TIME_R.json` (what a
trend reads), `live/T/R/PHASE.jsonl` (rows as they came in, so that a killed run loses none),
`newest/T/PHASE.json` (which run finished a phase last), `dataset/` (see `store.dataset`),
`output/T/R/PHASE.log`, `targets/T/R.json` (what the run validated), `confirmations/T/R.json`
(that a person confirmed a run on production), `reports/T/R/`,
`assets/T/PHASE.parquet` (the newest of each, by the I/O manager).
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from hokusai_validation.effective import Snapshot
from hokusai_validation.permission import Confirmation
from hokusai_validation.result import Phase, Result, from_frame, to_frame
from hokusai_validation.store.storage import base_path, is_local, write_whole

if TYPE_CHECKING:
    from upath import UPath

_IN_PATH = ["target", "run_id"]  # columns that a reader of the dataset has from the path
_TIME = "%Y%m%dT%H%M%S%fZ"


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

    def runs(self, target: str) -> tuple[Run, ...]:
        """Every run of a target, newest first."""
        return tuple(self._newest_runs(target, None))

    def append(self, run_id: str, target: str, phase: Phase, results: Sequence[Result]) -> str:
        """Keep a phase's rows; returns where. Appending the same phase of the same run again
        replaces it.

        Raises ReportNotWritten."""
        buffer = io.BytesIO()
        to_frame(results).drop(columns=_IN_PATH).to_parquet(buffer, index=False)
        path = self._rows_file(target, run_id, phase)
        write_whole(path, buffer.getvalue())
        write_whole(self._newest_file(target, phase), json.dumps({"run_id": run_id}).encode())
        live = self._live(target, run_id, phase)
        if live is not None:
            live.unlink(missing_ok=True)
        return str(path)

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

    def phase_rows(self, target: str, run_id: str, phase: Phase) -> tuple[Result, ...] | None:
        """A run's rows of a phase, or None where the run did not finish it, or they can't be read
        (a damaged file: the rows as they came in are still there)."""
        path = self._rows_file(target, run_id, phase)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        import pandas as pd

        try:
            frame = pd.read_parquet(io.BytesIO(content)).assign(target=target, run_id=run_id)
            return from_frame(frame)
        except (OSError, ValueError, KeyError, AttributeError):
            return None

    def newest(self, target: str, phase: Phase) -> tuple[Result, ...]:
        """The rows of the newest run that finished a phase; none where no run did. Two files are read,
        and nothing is listed, however many runs there were."""
        try:
            run_id = str(json.loads(self._newest_file(target, phase).read_bytes())["run_id"])
        except (OSError, ValueError, KeyError, TypeError):
            return ()
        return self.phase_rows(target, run_id, phase) or ()

    def _newest_file(self, target: str, phase: Phase) -> "UPath":
        return self.base / "newest" / target / f"{phase.value}.json"

    def rows(self, target: str, runs: Sequence[str] | None = None) -> tuple[Result, ...]:
        """The rows of a target's runs (all of them by default), newest run first, also those that a
        killed run had sent."""
        chosen = [run.run_id for run in self.runs(target)] if runs is None else runs
        found: list[Result] = []
        for run_id in chosen:
            for phase in Phase:
                kept = self.phase_rows(target, run_id, phase)
                found += kept if kept is not None else self._live_rows(target, run_id, phase)
        return tuple(found)

    def live_file(self, target: str, run_id: str, phase: Phase) -> Path | None:
        """Where a suite process on this machine writes its rows as they come, or None where the
        results lie elsewhere."""
        path = self._live(target, run_id, phase)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

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

    def add_summary(self, target: str, run_id: str, at: datetime, summary: Mapping[str, Any]) -> None:
        """Keep what later runs need to know of this one.

        Raises ReportNotWritten."""
        write_whole(self._dated("summaries", target, at, run_id), json.dumps(summary).encode())

    def summaries(self, target: str, newest: int | None = None) -> tuple[dict[str, Any], ...]:
        """The summaries of the newest runs, oldest first; one that can't be read is left out."""
        found = []
        for path in self._dated_files("summaries", target)[:newest]:
            try:
                found.append(json.loads(path.read_bytes()))
            except (OSError, ValueError):
                continue
        return tuple(reversed(found))

    def summaries_of(self, target: str, prefix: str) -> tuple[dict[str, Any], ...]:
        """The summaries of the runs whose id begins so, oldest first, without reading the others."""
        found = []
        for path in self._dated_files("summaries", target):
            if path.name.partition("_")[2].startswith(prefix):
                try:
                    found.append(json.loads(path.read_bytes()))
                except (OSError, ValueError):
                    continue
        return tuple(reversed(found))

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

    def _rows_file(self, target: str, run_id: str, phase: Phase) -> "UPath":
        return self.base / "rows" / f"target={target}" / f"run_id={run_id}" / f"{phase.value}.parquet"

    def _live(self, target: str, run_id: str, phase: Phase) -> Path | None:
        if not is_local(self.base):
            return None
        return Path(str(self.base)) / "live" / target / run_id / f"{phase.value}.jsonl"

    def _live_rows(self, target: str, run_id: str, phase: Phase) -> Iterator[Result]:
        path = self._live(target, run_id, phase)
        if path is None or not path.exists():
            return
        for line in path.read_bytes().splitlines():
            try:
                yield Result.model_validate_json(line)
            except ValidationError:
                continue  # cut off by the kill

    def _newest_runs(self, target: str, limit: int | None) -> Iterator[Run]:
        for path in self._dated_files("runs", target)[:limit]:
            try:
                yield Run.model_validate_json(path.read_bytes())
            except (OSError, ValidationError):
                continue

    def _dated(self, kind: str, target: str, at: datetime, run_id: str) -> "UPath":
        return self.base / kind / target / f"{at.astimezone(UTC).strftime(_TIME)}_{run_id}.json"

    def _dated_files(self, kind: str, target: str) -> list["UPath"]:
        """Newest first."""
        folder = self.base / kind / target
        try:
            return sorted(folder.glob("*.json"), key=lambda path: path.name, reverse=True)
        except FileNotFoundError:
            return []
