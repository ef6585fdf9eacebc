"""A report, folded into what later runs need to remember of it."""

from collections.abc import Iterable

from hokusai_validation.diagnosis.history import History, Known, RunSummary
from hokusai_validation.diagnosis.outcomes import outcomes
from hokusai_validation.report import Performance, Report, Verdict


def summarise(report: Report, history: History | None = None) -> RunSummary:
    """What the store keeps of this run, to be the newest of later runs' `History`."""
    return RunSummary(
        run_id=report.run_id,
        at=report.finished_at,
        verdict=report.verdict.value,
        scores=report.scores.model_dump(),
        outcomes=outcomes(report.results),
        percentiles={
            performance_key(run): {"p50_ms": run.p50_ms, "p95_ms": run.p95_ms, "p99_ms": run.p99_ms}
            for run in report.performance
        },
        histograms=_histograms(report.performance),
        findings={
            finding.key: Known(since=finding.since or report.finished_at, runs=finding.seen_runs)
            for finding in report.findings
        },
        phases={source.phase: source.run_id for source in report.provenance.phases if source.run_id},
        last_good_run_id=(
            report.run_id if report.verdict is Verdict.HEALTHY else report.trend.last_good_run_id
        ),
    )


def performance_key(run: Performance) -> str:
    """What is compared with what: the same test's same endpoint under the same load model."""
    return f"{run.test} {run.endpoint} {run.model}"


def _histograms(runs: Iterable[Performance]) -> dict[str, str]:
    return {performance_key(run): run.histogram for run in runs if run.histogram}
