"""What other tools read: the summary of a pull request, the metrics, the page of all targets."""

from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families

from hokusai_validation.reporting import markdown_pages, openmetrics, wall
from hokusai_validation_tests.reporting.sample import report

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def past(day: int, verdict: str, *, failed: bool = False, p95_ms: float = 10.0) -> wall.PastRun:
    """One run on a day of March."""
    return wall.PastRun(
        run_id=f"run-{day}",
        at=datetime(2026, 3, day, 6, 0, tzinfo=UTC),
        verdict=verdict,
        scores={"infrastructure_health": 0.5},
        outcomes={"TestA::test_one": "failed" if failed else "passed"},
        p95_ms={"health|open": p95_ms},
        open_causes=[wall.OpenCause("mlflow:<b>process_down</b>", NOW - timedelta(hours=30), 3)]
        if failed
        else [],
    )


def test_the_metrics_name_verdict_scores_and_findings_and_end_as_openmetrics_do() -> None:
    assert openmetrics.render(report()).endswith(b"# EOF\n")
    families = {
        family.name: family
        for family in text_string_to_metric_families(openmetrics.render(report()).decode())
    }
    verdicts = {
        sample.labels["verdict"]: sample.value for sample in families["hokusai_validation_verdict"].samples
    }
    assert verdicts["unhealthy"] == 1
    assert sum(verdicts.values()) == 1
    scores = {
        sample.labels["score"]: sample.value for sample in families["hokusai_validation_score_ratio"].samples
    }
    assert scores["infrastructure_health"] == report().scores.infrastructure_health
    assert "registration_success" not in scores  # not measured, so not said
    assert sum(sample.value for sample in families["hokusai_validation_findings"].samples) == len(
        report().findings
    )


def test_the_summary_of_a_pull_request_leads_with_the_verdict_and_runs_no_mark_up() -> None:
    text = markdown_pages.summary(report()).decode()
    assert text.startswith("### ❌ sandbox: unhealthy")
    assert "<script>" not in text
    assert report().findings[0].remedy[0][:20] in text
    assert len(text) < 16_384


def test_the_wall_shows_verdicts_open_causes_with_their_age_and_what_fails_most() -> None:
    page = wall.render({"staging": [past(1, "healthy"), past(2, "unhealthy", failed=True)]}, NOW).decode()
    assert "unhealthy" in page
    assert "for 1 d, seen in 3 runs" in page
    assert "TestA::test_one: 1 of 2 runs" in page
    assert "<b>" not in page
    assert "<script" not in page


def test_time_to_repair_spans_a_whole_unhealthy_series() -> None:
    runs = [
        past(1, "healthy"),
        past(2, "unhealthy"),
        past(3, "inconclusive"),
        past(4, "unhealthy"),
        past(5, "degraded"),
    ]
    assert wall.times_to_repair(runs) == (timedelta(days=3),)


def test_a_latency_that_grew_is_named_and_a_steady_one_is_not() -> None:
    steady = [past(day, "healthy") for day in range(1, 6)]
    assert "Latencies that grow" not in wall.render({"a": steady}, NOW).decode()
    grown = [*steady[:-1], past(5, "healthy", p95_ms=50.0)]
    assert "p95 10.0 → 50.0 ms" in wall.render({"a": grown}, NOW).decode()
