"""The run against the past."""

from collections.abc import Mapping, Sequence

from hokusai_validation.diagnosis.changes import changes
from hokusai_validation.diagnosis.history import OUTCOMES, History, RunSummary
from hokusai_validation.diagnosis.outcomes import FLAKY
from hokusai_validation.diagnosis.patterns import patterns
from hokusai_validation.report import Trend, TrendPoint
from hokusai_validation.result import Result, Status

EXECUTED = frozenset({Status.PASSED.value, Status.FAILED.value, FLAKY})


def trend(rows: Sequence[Result], history: History, present: RunSummary) -> Trend:
    """Everything in `Trend`: `rows` are the present run's own, `present` its summary."""
    runs = (*history.runs, present)
    previous, good = history.previous, history.last_good_run
    return Trend(
        points=tuple(
            TrendPoint(run_id=run.run_id, at=run.at, verdict=run.verdict, scores=run.scores) for run in runs
        ),
        availability=availability(runs),
        percentiles=percentiles(runs),
        recovery_s={
            test: tuple(run.recovery_s.get(test) for run in runs)
            for test in sorted({test for run in runs for test in run.recovery_s})
        },
        previous_run_id=previous.run_id if previous else None,
        last_good_run_id=good.run_id if good else None,
        against_previous=changes(previous, present) if previous else (),
        against_last_good=changes(good, present) if good else (),
        outcomes=last_outcomes(runs),
        flaky_rate=flaky_rate(runs),
        patterns=patterns(rows, history, present.at),
    )


def last_outcomes(runs: Sequence[RunSummary]) -> dict[str, tuple[str, ...]]:
    """Each test's newest statuses, oldest first, of the runs that ran it."""
    series: dict[str, list[str]] = {}
    for run in runs:
        for test, outcome in run.outcomes.items():
            series.setdefault(test, []).append(outcome)
    return {test: tuple(found[-OUTCOMES:]) for test, found in sorted(series.items())}


def flaky_rate(runs: Sequence[RunSummary]) -> float | None:
    """The share of executed tests that passed at their second attempt only, over all runs given."""
    executed = [outcome for run in runs for outcome in run.outcomes.values() if outcome in EXECUTED]
    return executed.count(FLAKY) / len(executed) if executed else None


def availability(runs: Sequence[RunSummary]) -> dict[str, float]:
    """For each service the share of runs that judged it in which it was healthy."""
    judged: dict[str, list[bool]] = {}
    for run in runs:
        for service, healthy in run.services.items():
            judged.setdefault(service, []).append(healthy)
    return {service: sum(seen) / len(seen) for service, seen in sorted(judged.items())}


def percentiles(
    runs: Sequence[RunSummary],
) -> Mapping[str, Mapping[str, tuple[float | None, ...]]]:
    """Endpoint → percentile → its value in ms, run by run."""
    endpoints = sorted({endpoint for run in runs for endpoint in run.percentiles})
    names = ("p50_ms", "p95_ms", "p99_ms")
    return {
        endpoint: {name: tuple(run.percentiles.get(endpoint, {}).get(name) for run in runs) for name in names}
        for endpoint in endpoints
    }
