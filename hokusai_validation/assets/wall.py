"""The page of all targets, made anew behind each run from the summaries that the store keeps."""

from datetime import datetime

from hokusai_validation.diagnosis.history import History, RunSummary
from hokusai_validation.reporting import wall
from hokusai_validation.store.results import ResultStore
from hokusai_validation.store.storage import write_whole

RUNS = 30
NAME = "index.html"


def refresh(store: ResultStore, now: datetime) -> str:
    """Write `reports/index.html`; gives its path.

    Raises ReportNotWritten."""
    runs = {
        target: [_past(run) for run in History.from_json(store.summaries(target, RUNS)).runs]
        for target in store.targets()
    }
    path = store.reports / NAME
    write_whole(path, wall.render(runs, now))
    return str(path)


def _past(run: RunSummary) -> wall.PastRun:
    return wall.PastRun(
        run_id=run.run_id,
        at=run.at,
        verdict=run.verdict,
        scores=run.scores,
        outcomes=run.outcomes,
        p95_ms={
            name: p95 for name, each in run.percentiles.items() if (p95 := each.get("p95_ms")) is not None
        },
        open_causes=[wall.OpenCause(key, known.since, known.runs) for key, known in run.findings.items()],
    )
