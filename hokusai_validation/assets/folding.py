"""From the phases' frames to the report: what `aggregate` and `report` share."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from hokusai_validation.diagnosis import WINDOW, History, PhaseRows, assemble
from hokusai_validation.diagnosis.rows import was_selected
from hokusai_validation.report import Deployment, Report
from hokusai_validation.result import Phase, Result, from_frame
from hokusai_validation.store.results import ResultStore
from hokusai_validation.target import Target

if TYPE_CHECKING:
    import pandas as pd


def results_of(frames: Iterable["pd.DataFrame"]) -> tuple[Result, ...]:
    """All rows of some frames."""
    return tuple(row for frame in frames for row in from_frame(frame))


def phases_of(results: Sequence[Result], run_id: str) -> tuple[PhaseRows, ...]:
    """The rows by phase, each with the run that they are from. A phase whose rows are of this run
    was asked for in it."""
    found = []
    for phase in Phase:
        rows = tuple(row for row in results if row.phase is phase and was_selected(row))
        if not rows:
            continue
        begun = min(row.started_at for row in rows)
        ended = max(row.started_at + timedelta(seconds=row.duration_s) for row in rows)
        found.append(
            PhaseRows(
                phase=phase,
                run_id=rows[0].run_id,
                results=rows,
                finished_at=ended,
                duration_s=(ended - begun).total_seconds(),
                asked=rows[0].run_id == run_id,
            )
        )
    return tuple(found)


def report_of(
    results: Sequence[Result],
    target: Target,
    run_id: str,
    store: ResultStore,
    started_at: datetime,
    deployed_at_end: Sequence[Deployment] = (),
    evidence: Mapping[str, str] | None = None,
) -> Report:
    """The report that these rows carry, against the history of the target."""
    return assemble(
        run_id=run_id,
        target=target,
        phases=phases_of(results, run_id),
        started_at=started_at,
        finished_at=datetime.now(UTC),
        history=history_of(store, target.name),
        evidence=dict(evidence or {}),
        deployed_at_end=deployed_at_end,
    )


def carry(frame: "pd.DataFrame", run_id: str, deployed: Sequence[Deployment], why_not: str) -> None:
    """Put what `report` needs beside the rows into the frame; Parquet keeps it with them."""
    frame.attrs["run_id"] = run_id
    frame.attrs["deployed"] = [each.model_dump(mode="json") for each in deployed]
    frame.attrs["deployed_unknown"] = why_not


def carried(frame: "pd.DataFrame") -> tuple[tuple[Deployment, ...], str]:
    """The inverse of `carry`: the deployments, and why there are none."""
    deployed = tuple(Deployment.model_validate(each) for each in frame.attrs.get("deployed", ()))
    return deployed, str(frame.attrs.get("deployed_unknown", ""))


def history_of(store: ResultStore, target: str) -> History:
    """The newest runs' summaries."""
    return History.from_json(store.summaries(target, WINDOW))


def run_started_at(context: dg.AssetExecutionContext) -> datetime:
    """When the Dagster run began."""
    record = context.instance.get_run_record_by_id(context.run.run_id)
    if record is None or record.start_time is None:
        return datetime.now(UTC)
    return datetime.fromtimestamp(record.start_time, UTC)
