"""A report with one of everything, hostile text included, for the tests of every format."""

from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from hokusai_validation.catalogue import entries
from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.phase_rows import Trouble, TroubleKind
from hokusai_validation.report import (
    CatalogueCounts,
    Cause,
    Change,
    Counts,
    Coverage,
    Deployment,
    Endpoint,
    ErrorPattern,
    Finding,
    Performance,
    PhaseSource,
    Priority,
    Provenance,
    Report,
    Scores,
    Trend,
    TrendPoint,
    Verdict,
)
from hokusai_validation.result import Phase, Result, Status

HOSTILE = "<script>alert(1)</script> =HYPERLINK(1) [x](javascript:alert(1)) ``` \x1b[31mred\x1b[0m \u202eevil | pipe"
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


JOURNAL: dict[str, JsonValue] = {
    "timeline": {
        "duration_s": 4.0,
        "faults": [{"fault": f"refuse {HOSTILE}", "on_s": 1.0, "off_s": 2.0, "seen": "refused"}],
        "probes": [
            {
                "route": "api-1",
                "points": [
                    {"t_s": n * 0.5, "due": 5, "good": 5 - (n == 3), "live_ms": 1.0} for n in range(8)
                ],
            }
        ],
        "states": [
            {"t_s": 0.0, "health": "healthy", "breaker": "CLOSED"},
            {"t_s": 1.2, "health": HOSTILE, "breaker": "OPEN"},
            {"t_s": 2.5, "health": None, "breaker": None},
        ],
    }
}


def results() -> tuple[Result, ...]:
    """The catalogue's tests: most passed, some of every other status, with hostile texts."""
    rows = []
    for index, entry in enumerate(entries()):
        status = (Status.PASSED, Status.PASSED, Status.FAILED, Status.BROKEN, Status.SKIPPED)[index % 5]
        rows.append(
            Result(
                run_id="20260301T120000-abcdef",
                target="sandbox",
                phase=entry.phase,
                category=entry.category,
                id=entry.id,
                test=entry.test,
                component=entry.component,
                critical=entry.critical,
                status=status,
                started_at=START + timedelta(seconds=index),
                duration_s=0.25,
                message="" if status is Status.PASSED else HOSTILE,
                detail=HOSTILE if status is Status.FAILED else "",
                evidence={
                    "health": {
                        "request": "GET https://registry.hokusai.test:1/health?x=1",
                        "status": 200,
                        "body": HOSTILE,
                        "elapsed_ms": 3.5,
                    },
                    **({"journal": JOURNAL} if entry.id == "C2" else {}),
                },
                facts=(Fact(kind=FactKind.REFUSED, component="mlflow", via="api-1", seen=HOSTILE),)
                if status is Status.FAILED
                else (),
                metrics={"p50_ms": 1.5},
            )
        )
    return tuple(rows)


def report() -> Report:
    """See the module."""
    rows = results()
    by_status = {status.value: sum(row.status is status for row in rows) for status in Status}
    scores = {
        "infrastructure_health": 0.364,
        "service_availability": 0.5,
        "execution_completion": 1.0,
        "test_success": 0.6,
        "registration_success": None,
    }
    points = tuple(
        TrendPoint(run_id=f"run-{n}", at=START - timedelta(days=5 - n), verdict="degraded", scores=scores)
        for n in range(5)
    )
    return Report(
        run_id="20260301T120000-abcdef",
        target="sandbox",
        started_at=START,
        finished_at=START + timedelta(seconds=42),
        verdict=Verdict.UNHEALTHY,
        headline=f"3 critical tests failed {HOSTILE}",
        reasons=("MLflow is down",),
        scores=Scores.model_validate(scores),
        counts=Counts(
            by_status=by_status,
            by_category={"unit": by_status},
            catalogue=CatalogueCounts(
                total=67,
                passed=by_status["passed"],
                failed=by_status["failed"],
                broken=by_status["broken"],
                skipped=by_status["skipped"],
            ),
        ),
        results=rows,
        findings=(
            Finding(
                key="mlflow:process_down",
                cause=Cause.PROCESS_DOWN,
                component="mlflow",
                title=f"MLflow refuses connections {HOSTILE}",
                priority=Priority.P1,
                explains=tuple(row.test for row in rows if row.status is Status.FAILED),
                facts=(Fact(kind=FactKind.REFUSED, component="mlflow", seen=HOSTILE),),
                follows=("the API is degraded",),
                impact="Models can't be registered.",
                reproduction=(
                    'curl -sS -H "Authorization: Bearer $HOKUSAI_API_KEY" https://registry/health',
                ),
                remedy=("Start MLflow.", "Run the failed phases again."),
                team="ml-platform",
                quick_win=True,
                since=START - timedelta(days=1),
                seen_runs=3,
            ),
        ),
        performance=(
            Performance(
                test="TestServiceLoadCapacity::test_health_endpoint_sequential_load",
                endpoint="/health",
                model="open",
                requests=2000,
                rate_per_s=200.0,
                mean_ms=2.0,
                p50_ms=1.8,
                p95_ms=3.0,
                p99_ms=4.5,
                max_ms=9.0,
                curve=((0.0, 1.0), (50.0, 1.8), (90.0, 2.5), (99.0, 4.5), (99.9, 8.0), (100.0, 9.0)),
                series=tuple(
                    {"t_s": float(t), "p50_ms": 2.0 + t, "p99_ms": 5.0 + t, "api-1_cpu_percent": 20.0 + t}
                    for t in range(10)
                ),
            ),
        ),
        trend=Trend(
            points=points,
            previous_run_id="run-4",
            against_previous=(
                Change(
                    what="/health p99",
                    before=4.0,
                    after=9.0,
                    worse=True,
                    significant=True,
                    test="Mann-Whitney p = 0.001",
                ),
            ),
            outcomes={rows[0].test: ("passed", "failed", "passed")},
            patterns=(ErrorPattern(pattern=HOSTILE, count=3, state="new", since=START),),
        ),
        provenance=Provenance(
            deployments=(
                Deployment(
                    component="api",
                    task_definition="hokusai-api:7",
                    image="api:1",
                    commit="abc",
                    deployed_at=START,
                ),
            ),
            phases=tuple(
                PhaseSource(
                    phase=phase.value,
                    run_id="r",
                    finished_at=START,
                    target_hash="0123456789abcdef",
                    troubles=(Trouble(kind=TroubleKind.PROCESS_ENDED, text=f"ended: {HOSTILE}"),),
                )
                for phase in Phase
            ),
            package_version="0.1.0",
        ),
        coverage=Coverage(
            requirements=(),
            endpoints=(
                Endpoint(method="GET", path="/health", seen={"200": 3}),
                Endpoint(method="GET", path=HOSTILE, seen={"200": 0, "503": 1}, others={"418": 2}),
            ),
            promised_statuses=3,
            seen_statuses=2,
        ),
    )
