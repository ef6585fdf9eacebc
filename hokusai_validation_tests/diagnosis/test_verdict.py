"""The table of the verdict, line by line."""

from datetime import timedelta

import pytest

from hokusai_validation import catalogue
from hokusai_validation.diagnosis import assemble, exit_status
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Reason, Report, Verdict
from hokusai_validation.result import Phase, Result, SkipReason, Status
from hokusai_validation.target import Target
from hokusai_validation_tests.diagnosis.rows import (
    AT,
    all_passed,
    as_phases,
    fact,
    failed,
    replaced,
    row,
    target,
)

CRITICAL = "test_mlflow_health_check_healthy"
NOT_CRITICAL = "test_version_info"
TARGET = target()


def report_of(*changed: Result, on: Target = TARGET, asked: tuple[Phase, ...] = tuple(Phase)) -> Report:
    rows = replaced(all_passed(), *changed)
    return assemble(
        run_id="run", target=on, phases=as_phases(rows, asked=asked), started_at=AT, finished_at=AT
    )


def test_all_passed_is_healthy() -> None:
    report = report_of()
    assert report.verdict is Verdict.HEALTHY
    assert report.findings == ()
    assert report.counts.catalogue.passed == report.counts.catalogue.total == 67
    assert report.headline == "somewhere is healthy. 67 of the 67 catalogued tests passed."
    assert exit_status(report, TARGET, tuple(Phase)) == 0


def test_a_critical_failure_is_unhealthy_even_where_others_could_not_be_judged() -> None:
    report = report_of(failed(CRITICAL), row("test_liveness_check", Status.BROKEN))
    assert report.verdict is Verdict.UNHEALTHY
    assert [test.rpartition("::")[2] for test in report.reasons[0].tests] == [CRITICAL]
    assert exit_status(report, TARGET, tuple(Phase)) == 1


@pytest.mark.parametrize(
    "changed",
    [
        row(CRITICAL, Status.BROKEN, message="hung"),
        row(CRITICAL, Status.SKIPPED, message="some reason of its own"),
    ],
    ids=["broken", "skipped"],
)
def test_a_critical_test_without_judgement_is_inconclusive(changed: Result) -> None:
    report = report_of(changed, failed(NOT_CRITICAL))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert exit_status(report, TARGET, tuple(Phase)) == 3


def test_a_phase_that_was_asked_for_and_sent_nothing_is_inconclusive() -> None:
    rows = [each for each in all_passed() if each.phase is not Phase.HEALTH]
    report = assemble(run_id="run", target=TARGET, phases=as_phases(rows), started_at=AT, finished_at=AT)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.counts.catalogue.broken == 23
    assert exit_status(report, TARGET, tuple(Phase)) == 3


def test_phases_that_were_not_asked_for_make_it_inconclusive_but_end_well() -> None:
    rows = [each for each in all_passed() if each.phase is Phase.HEALTH]
    report = assemble(
        run_id="run",
        target=TARGET,
        phases=as_phases(rows, asked=(Phase.HEALTH,)),
        started_at=AT,
        finished_at=AT,
    )
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.counts.catalogue.skipped == 67 - 23
    assert exit_status(report, TARGET, (Phase.HEALTH,)) == 0


@pytest.mark.parametrize(
    "changed",
    [
        failed(NOT_CRITICAL),
        row(CRITICAL, attempt=2, flaky=True),
        row(CRITICAL, facts=(fact(FactKind.CERTIFICATE_EXPIRING, "load_balancer", "9 days left"),)),
        row(CRITICAL, facts=(fact(FactKind.HEALTH_ANSWER_WRONG, "mlflow", "says healthy, is down"),)),
        row(
            CRITICAL,
            evidence={
                "performance": [
                    {"test": "x", "endpoint": "/health", "model": "open", "requests": 9, "p99_ms": 1200.0}
                ]
            },
        ),
        row(
            CRITICAL,
            evidence={
                "performance": [
                    {"test": "x", "endpoint": "/x", "model": "open", "requests": 9, "error_rate": 0.02}
                ]
            },
        ),
    ],
    ids=["not critical", "flaky", "certificate", "views", "p99", "errors"],
)
def test_what_impairs_is_degraded(changed: Result) -> None:
    report = report_of(changed)
    assert report.verdict is Verdict.DEGRADED
    assert exit_status(report, TARGET, tuple(Phase)) == 0
    assert exit_status(report, TARGET, tuple(Phase), fail_on_degraded=True) == 1


@pytest.mark.parametrize("status", [Status.BROKEN, Status.SKIPPED])
def test_what_is_not_critical_and_was_not_judged_spoils_nothing(status: Status) -> None:
    assert report_of(row(NOT_CRITICAL, status)).verdict is Verdict.HEALTHY


def test_a_first_attempt_that_failed_does_not_count_when_the_second_passed() -> None:
    rows = [*all_passed(), row(NOT_CRITICAL, Status.PASSED, attempt=2, flaky=True)]
    rows = [
        each.model_copy(update={"status": Status.FAILED})
        if each.test.endswith(NOT_CRITICAL) and each.attempt == 1
        else each
        for each in rows
    ]
    report = assemble(run_id="run", target=TARGET, phases=as_phases(rows), started_at=AT, finished_at=AT)
    assert report.verdict is Verdict.HEALTHY
    assert report.counts.catalogue.passed == 67
    assert len([each for each in report.results if each.test.endswith(NOT_CRITICAL)]) == 2


def test_what_the_target_file_does_not_have_is_forgiven_and_counted_in_the_headline() -> None:
    bare = target(breaker=None, permissions={})
    skipped = [
        row(entry.test, Status.SKIPPED, message="no breaker source configured")
        for entry in catalogue.entries()
        if set(entry.needs) & {"breaker", "faults", "load"}
    ]
    report = report_of(*skipped, on=bare)
    assert report.verdict is Verdict.HEALTHY
    count = sum(1 for each in skipped if (entry := catalogue.find(each.test)) and entry.in_catalogue)
    assert f"{count} of the 67 could not be executed on this target" in report.headline


def test_rows_older_than_the_newest_deployment_say_nothing() -> None:
    deployed = {"component": "api", "deployed_at": (AT + timedelta(hours=1)).isoformat()}
    fresh = [
        each.model_copy(update={"started_at": AT + timedelta(hours=2), "run_id": "later"})
        for each in all_passed()
        if each.phase is Phase.ENVIRONMENT
    ] + [
        row(
            "made up",
            run_id="later",
            phase=Phase.ENVIRONMENT,
            category="environment",
            started_at=AT + timedelta(hours=2),
            evidence={"deployment": deployed},
        )
    ]
    old = [each for each in replaced(all_passed(), failed(CRITICAL)) if each.phase is not Phase.ENVIRONMENT]
    report = assemble(
        run_id="later",
        target=TARGET,
        phases=as_phases([*fresh, *old], asked=(Phase.ENVIRONMENT,)),
        started_at=AT,
        finished_at=AT + timedelta(hours=3),
    )
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.findings == ()
    assert report.counts.catalogue.skipped == 67
    assert [source.phase for source in report.provenance.phases if source.stale] == [
        "discovery",
        "health",
        "functional",
        "load",
        "chaos",
    ] or not [each for each in old if each.phase is Phase.DISCOVERY]
    assert exit_status(report, TARGET, (Phase.ENVIRONMENT,)) == 0


def test_a_fault_that_is_still_on_leads_the_headline() -> None:
    left = row(
        NOT_CRITICAL,
        Status.BROKEN,
        evidence={"orphaned_faults": [{"fault": "refuse on api-1->mlflow", "command": "restore it"}]},
    )
    report = report_of(left, failed(CRITICAL))
    assert report.headline.startswith("1 fault of ours could not be undone")
    assert "restore it" in report.headline
    assert report.reasons[0].text == "1 fault of ours could not be undone"
    assert exit_status(report, TARGET, tuple(Phase)) == 3
    assert report_of(left).verdict is not Verdict.HEALTHY


def test_nothing_executed_is_inconclusive() -> None:
    report = assemble(run_id="run", target=TARGET, phases=[], started_at=AT, finished_at=AT)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert exit_status(report, TARGET, ()) == 3


def followed(test: str, part: str) -> Result:
    changed = row(test, Status.SKIPPED, message=f"{part} was not healthy before")
    return changed.model_copy(update={"skip_reason": SkipReason.UNHEALTHY_BEFORE, "blocked_by": part})


@pytest.mark.parametrize(
    ("part", "verdict", "status"),
    [("postgres", Verdict.UNHEALTHY, 1), ("redis", Verdict.DEGRADED, 0), ("mlflow", Verdict.DEGRADED, 0)],
)
def test_a_critical_test_skipped_for_a_part_follows_from_that_parts_finding(
    part: str, verdict: Verdict, status: int
) -> None:
    found = failed(NOT_CRITICAL, fact(FactKind.REFUSED, part))
    report = report_of(found, followed("test_service_recovery_sequence", part))
    assert part in {finding.component for finding in report.findings}
    assert report.verdict is verdict
    assert exit_status(report, TARGET, tuple(Phase)) == status


def test_what_was_skipped_for_a_part_that_nothing_is_found_of_is_inconclusive() -> None:
    report = report_of(followed("test_service_recovery_sequence", "postgres"))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert exit_status(report, TARGET, tuple(Phase)) == 3


def test_what_the_time_budget_left_over_is_inconclusive() -> None:
    left_over = row(CRITICAL, Status.SKIPPED).model_copy(update={"skip_reason": SkipReason.TIME_BUDGET})
    report = report_of(left_over, failed(NOT_CRITICAL))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert exit_status(report, TARGET, tuple(Phase)) == 3


def test_a_reason_of_an_earlier_version_is_its_sentence_alone() -> None:
    assert Reason.model_validate("1 critical test failed: T1 test_live") == Reason(
        text="1 critical test failed: T1 test_live"
    )
