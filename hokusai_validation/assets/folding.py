"""From the phases' rows to the report."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from hokusai_validation.diagnosis import WINDOW, History, assemble
from hokusai_validation.phase_rows import PhaseRows
from hokusai_validation.redaction import Redactor
from hokusai_validation.report import Deployment, Report
from hokusai_validation.store.results import ResultStore
from hokusai_validation.target import Target


def report_of(
    phases: Sequence[PhaseRows],
    target: Target,
    run_id: str,
    history: History,
    started_at: datetime,
    redactor: Redactor,
    deployed_at_end: Sequence[Deployment] = (),
    evidence: Mapping[str, str] | None = None,
) -> Report:
    """The report that these rows carry, against the history of the target. A phase whose rows are of
    this run was asked for in it. Secrets are masked in what is said beside the rows, which were masked
    when they were made."""
    report = assemble(
        run_id=run_id,
        target=target,
        phases=[rows.model_copy(update={"asked": rows.run_id == run_id}) for rows in phases],
        started_at=started_at,
        finished_at=datetime.now(UTC),
        history=history,
        evidence=dict(evidence or {}),
        deployed_at_end=deployed_at_end,
    )
    said = redactor.model(report.model_copy(update={"results": ()}))
    return said.model_copy(update={"results": report.results})


def history_of(store: ResultStore, target: str) -> History:
    """The newest runs' summaries."""
    return History.from_json(store.summaries(target, WINDOW))


def run_started_at(context: dg.AssetExecutionContext) -> datetime:
    """When the Dagster run began."""
    record = context.instance.get_run_record_by_id(context.run.run_id)
    if record is None or record.start_time is None:
        return datetime.now(UTC)
    return datetime.fromtimestamp(record.start_time, UTC)
