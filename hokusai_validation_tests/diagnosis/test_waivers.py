"""Accepted failures: they stay failed, the verdict is degraded at best, and they come back by themselves."""

from datetime import date
from typing import Any

import pytest

from hokusai_validation.diagnosis import assemble
from hokusai_validation.diagnosis.verdict import exit_status
from hokusai_validation.diagnosis.waivers import refusals
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Report, Verdict
from hokusai_validation.reporting import html_report, junit, markdown_pages
from hokusai_validation.result import Phase, Result, Status
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

DAY = AT.date()
LOGIN = "TestDatabaseLogin::test_connects_as_mlflow"
LEAK = "TestKeySafety::test_keys_never_in_answers"


def waiver(**named: Any) -> dict[str, Any]:
    """One that holds, unless told otherwise."""
    return {"reason": "known", "owner": "data", "until": DAY, **named}


def reported(of: Target, *others: Result) -> Report:
    """All passed but these."""
    rows = replaced(all_passed(), *others)
    return assemble(run_id="run", target=of, phases=as_phases(rows), started_at=AT, finished_at=AT)


@pytest.mark.parametrize("name", ["F301", "test_connects_as_mlflow", LOGIN])
def test_a_waived_test_stays_failed_and_is_no_more_than_degraded(name: str) -> None:
    of = target(waivers=[waiver(test=name)])
    report = reported(of, failed(LOGIN))
    assert report.verdict is Verdict.DEGRADED
    assert report.counts.by_status["failed"] == 1
    assert [each.tests for each in report.waived] == [(LOGIN,)]
    assert any("accepted by data" in reason.text for reason in report.reasons)
    assert exit_status(report, of, set(Phase)) == 0
    assert exit_status(report, of, set(Phase), fail_on_degraded=True) == 1


def test_a_cause_at_its_place_is_waived_with_all_that_it_explains() -> None:
    refused = failed(LOGIN, fact(FactKind.PASSWORD_REFUSED, "postgres"))
    found = reported(target(), refused).findings[0]
    assert reported(target(), refused).verdict is Verdict.UNHEALTHY
    accepted = reported(target(waivers=[waiver(cause=found.cause.value, place=found.component)]), refused)
    assert accepted.verdict is Verdict.DEGRADED
    assert accepted.findings[0].key == found.key
    elsewhere = reported(target(waivers=[waiver(cause=found.cause.value, place="redis")]), refused)
    assert elsewhere.verdict is Verdict.UNHEALTHY


def test_what_is_accepted_is_said_at_its_finding_and_its_row() -> None:
    refused = failed(LOGIN, fact(FactKind.PASSWORD_REFUSED, "postgres"))
    said = f"accepted by data until {DAY}: known"
    report = reported(target(waivers=[waiver(test="F301")]), refused)
    page = html_report.render(report).decode()
    row = page.partition('id="test-F301"')[2].partition("</tr>")[0]
    finding = page.partition('<article class="finding">')[2].partition("</article>")[0]
    for text in (row, finding, junit.render(report).decode()):
        assert said in text
    for render in (markdown_pages.health_report, markdown_pages.handoff, markdown_pages.summary):
        assert said in render(report).decode().replace("\\", "")
    assert "It is accepted by" not in html_report.render(reported(target(), refused)).decode()


def test_another_critical_failure_counts() -> None:
    report = reported(
        target(waivers=[waiver(test="F301")]), failed(LOGIN), failed("TestInfrastructure::test_api_health")
    )
    assert report.verdict is Verdict.UNHEALTHY


def test_an_expired_one_comes_back_with_a_notice() -> None:
    report = reported(target(waivers=[waiver(test="F301", until=date(2020, 1, 1))]), failed(LOGIN))
    assert report.verdict is Verdict.UNHEALTHY
    assert "expired after 2020-01-01" in report.notices[0]


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ({"test": "F999"}, "no such test"),
        ({"cause": "gremlins", "place": "postgres"}, "no such cause"),
        ({"cause": "password_refused", "place": "nowhere"}, "no such component"),
        ({"cause": "secret_leaked", "place": "api"}, "can't be waived"),
    ],
)
def test_what_waives_nothing_is_said(named: dict[str, str], why: str) -> None:
    of = target(waivers=[waiver(**named)])
    assert why in refusals(of, DAY)[0]
    assert reported(of, failed(LOGIN)).verdict is Verdict.UNHEALTHY


def test_a_leaked_secret_is_never_waived() -> None:
    report = reported(target(waivers=[waiver(test=LEAK)]), failed(LEAK, fact(FactKind.SECRET_LEAKED)))
    assert report.verdict is Verdict.UNHEALTHY
    assert report.waived == ()


def test_what_could_not_be_judged_is_never_waived() -> None:
    report = reported(target(waivers=[waiver(test="F301")]), row(LOGIN, Status.BROKEN))
    assert report.verdict is Verdict.INCONCLUSIVE


def test_a_fault_that_is_still_on_is_never_waived() -> None:
    left = failed(LOGIN, evidence={"orphaned_faults": [{"fault": "refuse", "command": "undo"}]})
    report = reported(target(waivers=[waiver(test="F301")]), left)
    assert report.verdict is Verdict.INCONCLUSIVE
