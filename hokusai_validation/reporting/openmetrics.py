"""`metrics.prom`: the run as OpenMetrics, for node_exporter's textfile collector or any scraper."""

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from hokusai_validation.report import Priority, Report, Verdict

PREFIX = "hokusai_validation"


def render(report: Report) -> bytes:
    """Every number of the run with the target as its label; ends with `# EOF` as the format demands."""
    registry = CollectorRegistry()
    target = report.target

    verdict = Gauge(
        f"{PREFIX}_verdict", "1 for the verdict of the newest run", ["target", "verdict"], registry=registry
    )
    for each in Verdict:
        verdict.labels(target, each.value).set(each is report.verdict)
    Gauge(
        f"{PREFIX}_finished_timestamp_seconds", "When the newest run ended", ["target"], registry=registry
    ).labels(target).set(report.finished_at.timestamp())
    Gauge(f"{PREFIX}_duration_seconds", "How long the newest run took", ["target"], registry=registry).labels(
        target
    ).set((report.finished_at - report.started_at).total_seconds())
    score = Gauge(f"{PREFIX}_score_ratio", "Scores between 0 and 1", ["target", "score"], registry=registry)
    for name, value in report.scores.model_dump().items():
        if value is not None:
            score.labels(target, name).set(value)
    tests = Gauge(f"{PREFIX}_tests", "Tests by how they ended", ["target", "status"], registry=registry)
    for status, count in report.counts.by_status.items():
        tests.labels(target, status).set(count)
    open_findings = Gauge(f"{PREFIX}_findings", "Open findings", ["target", "priority"], registry=registry)
    for priority in Priority:
        open_findings.labels(target, priority.value).set(
            sum(finding.priority is priority for finding in report.findings)
        )
    latency = Gauge(
        f"{PREFIX}_latency_seconds",
        "Latencies of load runs, from when a request was due",
        ["target", "test", "endpoint", "model", "quantile"],
        registry=registry,
    )
    for run in report.performance:
        quantiles = {"0.5": run.p50_ms, "0.9": run.p90_ms, "0.95": run.p95_ms, "0.99": run.p99_ms}
        for quantile, value_ms in quantiles.items():
            if value_ms is not None:
                latency.labels(target, run.test, run.endpoint, run.model, quantile).set(value_ms / 1000)
    # Of gauges alone the older text format differs from OpenMetrics in its end mark only, which a
    # reader of the older one takes for a comment.
    return generate_latest(registry) + b"# EOF\n"
