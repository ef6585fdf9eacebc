"""The run against the past."""

from collections.abc import Sequence
from datetime import datetime

from hokusai_validation.diagnosis.history import OUTCOMES, History
from hokusai_validation.diagnosis.outcomes import outcomes
from hokusai_validation.report import Performance, Scores, Trend, TrendPoint, Verdict
from hokusai_validation.result import Result
from hokusai_validation.target import Target


def trend(
    rows: Sequence[Result],
    target: Target,
    history: History,
    *,
    run_id: str,
    at: datetime,
    verdict: Verdict,
    scores: Scores,
    performance: Sequence[Performance],
) -> Trend:
    """Everything in `Trend`."""
    present = TrendPoint(run_id=run_id, at=at, verdict=verdict.value, scores=scores.model_dump())
    points = [
        TrendPoint(run_id=run.run_id, at=run.at, verdict=run.verdict, scores=run.scores)
        for run in history.runs
    ]
    here = outcomes(rows)
    series = {
        test: (*(run.outcomes[test] for run in history.runs if test in run.outcomes), status)[-OUTCOMES:]
        for test, status in here.items()
    }
    previous, good = history.previous, history.last_good_run
    return Trend(
        points=(*points, present),
        previous_run_id=previous.run_id if previous else None,
        last_good_run_id=good.run_id if good else None,
        outcomes=series,
    )
