"""What people are told: once, again when it changes, and when it is over."""

import json

import pytest

from hokusai_validation.automation.announcements import Announcement, Kind, Told, announce
from hokusai_validation.report import Finding, Priority, Verdict
from hokusai_validation.reporting.news import News
from hokusai_validation_tests.reporting.sample import HOSTILE, report

LINK = "https://dagster.example/runs/1"


def having(*findings: Finding, verdict: Verdict = Verdict.UNHEALTHY) -> News:
    return News.of(report().model_copy(update={"findings": findings, "verdict": verdict}))


def finding(key: str = "mlflow:process_down", priority: Priority = Priority.P1) -> Finding:
    return report().findings[0].model_copy(update={"key": key, "priority": priority})


def kinds(announcement: Announcement | None) -> list[Kind]:
    return [] if announcement is None else [item.kind for item in announcement.items]


def test_a_cause_is_told_once() -> None:
    first = announce(Told(), having(finding()), LINK)
    assert first is not None
    assert kinds(first) == [Kind.NEW]
    assert announce(first.told, having(finding()), LINK) is None


def test_a_cause_is_told_again_when_its_priority_changes() -> None:
    first = announce(Told(), having(finding()), LINK)
    assert first is not None
    assert kinds(announce(first.told, having(finding(priority=Priority.P0)), LINK)) == [Kind.CHANGED]


def test_the_end_of_a_cause_is_told_with_its_title() -> None:
    first = announce(Told(), having(finding()), LINK)
    assert first is not None
    over = announce(first.told, having(verdict=Verdict.HEALTHY), LINK)
    assert over is not None
    assert kinds(over) == [Kind.OVER]
    assert over.items[0].title == finding().title
    assert over.told.causes == {}
    assert announce(over.told, having(verdict=Verdict.HEALTHY), LINK) is None


def test_a_run_that_could_not_judge_ends_nothing() -> None:
    first = announce(Told(), having(finding()), LINK)
    assert first is not None
    assert announce(first.told, having(verdict=Verdict.INCONCLUSIVE), LINK) is None
    later = announce(first.told, having(finding("other:cause"), verdict=Verdict.INCONCLUSIVE), LINK)
    assert later is not None
    assert set(later.told.causes) == {"mlflow:process_down", "other:cause"}


def test_an_unhealthy_verdict_without_a_cause_is_told() -> None:
    first = announce(Told(), having(), LINK)
    assert first is not None
    assert announce(first.told, having(), LINK) is None
    assert announce(first.told, having(verdict=Verdict.HEALTHY), LINK) is not None


@pytest.mark.parametrize("priority", [Priority.P2, Priority.P3])
def test_what_can_wait_is_not_told(priority: Priority) -> None:
    assert announce(Told(), having(finding(priority=priority), verdict=Verdict.DEGRADED), LINK) is None


def test_hostile_text_mentions_nobody_and_links_nowhere() -> None:
    loud = finding().model_copy(update={"title": f"<!channel> <https://evil|x> & {HOSTILE}"})
    announcement = announce(Told(), having(loud), LINK)
    assert announcement is not None
    body = json.dumps(announcement.slack())
    assert "<" not in body
    assert len(announcement.slack()["text"]) <= 3000  # type: ignore[arg-type]
    assert announcement.subject.isascii()


def test_a_very_long_announcement_is_cut_to_what_slack_takes() -> None:
    many = [finding(f"c{n}:x").model_copy(update={"title": "&" * 500}) for n in range(40)]
    announcement = announce(Told(), having(*many), LINK)
    assert announcement is not None
    assert len(announcement.slack()["text"]) <= 3000  # type: ignore[arg-type]
