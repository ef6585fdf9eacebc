"""A run, folded into what later runs need to remember of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from hokusai_validation.diagnosis.changes import endpoint_histograms
from hokusai_validation.diagnosis.history import History, Known, RunSummary
from hokusai_validation.diagnosis.outcomes import outcomes
from hokusai_validation.diagnosis.patterns import count_patterns, known_patterns
from hokusai_validation.diagnosis.performance import performances
from hokusai_validation.diagnosis.scores import service_health
from hokusai_validation.report import Finding, Performance, PhaseSource, Report, Scores, Verdict
from hokusai_validation.result import Result, final_attempts
from hokusai_validation.target import Target

RECOVERY_METRIC = "recovery_s"


def summary(
    rows: Sequence[Result],
    target: Target,
    history: History,
    *,
    run_id: str,
    at: datetime,
    verdict: Verdict,
    scores: Scores,
    findings: Sequence[Finding],
    sources: Sequence[PhaseSource],
) -> RunSummary:
    """What the store keeps of this run. Scores, services and findings are of the target as it now
    stands (all phases' newest rows); outcomes, latencies, recovery times and patterns of the rows
    that this run made itself, so that no row counts in two runs."""
    own = [row for row in rows if row.run_id == run_id]
    final = final_attempts(own)
    histograms = histograms_of(performances(final))
    at_present = count_patterns(own)
    good = history.last_good_run
    return RunSummary(
        run_id=run_id,
        at=at,
        verdict=verdict.value,
        scores=scores.model_dump(),
        services=service_health(final_attempts(rows), target),
        outcomes=outcomes(own),
        percentiles={
            endpoint: {f"p{percent}_ms": samples.percentile_ms(percent) for percent in (50, 95, 99)}
            for endpoint, samples in endpoint_histograms(histograms).items()
        },
        histograms=histograms,
        recovery_s=_recoveries(final),
        patterns=at_present,
        known_patterns=known_patterns(at_present, history, at),
        findings={
            finding.key: Known(since=finding.since or at, runs=finding.seen_runs) for finding in findings
        },
        phases={source.phase: source.run_id for source in sources if source.run_id},
        last_good_run_id=run_id if verdict is Verdict.HEALTHY else (good.run_id if good else None),
    )


def summarise(report: Report, target: Target, history: History | None = None) -> RunSummary:
    """The summary of a finished report; `history` is what the report was made with."""
    return summary(
        report.results,
        target,
        (history or History()).before(report.run_id),
        run_id=report.run_id,
        at=report.finished_at,
        verdict=report.verdict,
        scores=report.scores,
        findings=report.findings,
        sources=report.provenance.phases,
    )


def histograms_of(runs: Iterable[Performance]) -> dict[str, str]:
    """`test|endpoint|model` → encoded histogram: what is compared with what."""
    return {
        "|".join(part.replace("|", "/") for part in (run.test, run.endpoint, run.model)): run.histogram
        for run in runs
        if run.histogram
    }


def _recoveries(rows: Iterable[Result]) -> dict[str, float]:
    """Test → its longest recovery, of every metric whose name ends in `recovery_s`."""
    found = {}
    for row in rows:
        times = [value for name, value in row.metrics.items() if name.endswith(RECOVERY_METRIC)]
        if times:
            found[row.test] = max(times)
    return found
