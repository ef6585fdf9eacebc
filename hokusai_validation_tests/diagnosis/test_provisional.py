"""Findings before the end: firm ones at once, others when they lasted, withdrawn ones said."""

from hokusai_validation.diagnosis.diagnose import diagnose
from hokusai_validation.diagnosis.provisional import LOOK_EVERY_S, Standing, ends_a_run
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Confidence, Finding, Priority
from hokusai_validation_tests.diagnosis.rows import AT, fact, failed, target


def finding(confidence: Confidence, explains: int = 2, priority: Priority = Priority.P0) -> Finding:
    row = failed("test_version_info", fact(FactKind.REFUSED, "postgres"))
    (found, *_) = diagnose((row,), target(), at=AT)
    tests = tuple(f"Test::test_{number}" for number in range(explains))
    return found.model_copy(update={"confidence": confidence, "explains": tests, "priority": priority})


def test_what_is_certain_is_told_at_once_and_once() -> None:
    standing, certain = Standing(), finding(Confidence.CERTAIN, 1)
    assert standing.look([certain], 0.0) == (certain,)
    assert standing.look([certain], 9.0) == ()


def test_another_is_told_when_it_explains_two_tests_and_lasted() -> None:
    standing, likely = Standing(), finding(Confidence.LIKELY)
    assert standing.look([likely], 0.0) == ()
    assert standing.look([], 1.0) == ()
    assert standing.look([likely], 1.5) == ()  # it went and came: it did not last
    assert standing.look([likely], 1.5 + LOOK_EVERY_S) == (likely,)
    alone = Standing()
    alone.look([finding(Confidence.LIKELY, 1)], 0.0)
    assert alone.look([finding(Confidence.LIKELY, 1)], 60.0) == ()


def test_what_was_told_and_is_found_no_more_is_withdrawn() -> None:
    standing, certain = Standing(), finding(Confidence.CERTAIN)
    standing.look([certain], 0.0)
    assert standing.look([], 2.0) == ()
    assert (standing.told, standing.withdrawn) == ({}, [certain.title])


def test_only_a_certain_p0_ends_a_run() -> None:
    certain = finding(Confidence.CERTAIN)
    others = [finding(Confidence.LIKELY), finding(Confidence.CERTAIN, priority=Priority.P1)]
    assert ends_a_run(others) is None
    assert ends_a_run([*others, certain]) is certain
