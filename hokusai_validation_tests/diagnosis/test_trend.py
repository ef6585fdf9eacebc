"""Runs compared: what changed, since when, and whether it is more than chance."""

import base64
import math
from datetime import timedelta

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hokusai_validation.diagnosis import History, assemble, summarise
from hokusai_validation.diagnosis.changes import changes
from hokusai_validation.diagnosis.earlier import known_scores
from hokusai_validation.diagnosis.hdr import Binned, decode, merged
from hokusai_validation.diagnosis.history import RunSummary
from hokusai_validation.diagnosis.patterns import normalise
from hokusai_validation.diagnosis.statistics import holm, proportion_differs, shift, tail
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Report
from hokusai_validation.result import Result, Status
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

TARGET = target()
TEST = "test_mlflow_health_check_healthy"


def encoded(values_us: list[int]) -> str:
    histogram = HdrHistogram(1, 3_600_000_000, 3)
    for value in values_us:
        histogram.record_value(value)
    return str(histogram.encode().decode())


def binned(values_ms: list[int]) -> Binned:
    return merged([Binned((float(value),), (1,)) for value in values_ms])


def run(number: int, *rows: Result, history: History) -> tuple[Report, History]:
    name, at = f"run-{number}", AT + timedelta(days=number)
    whole = [
        each.model_copy(update={"run_id": name, "started_at": at}) for each in replaced(all_passed(), *rows)
    ]
    report = assemble(
        run_id=name,
        target=TARGET,
        phases=as_phases(whole, at=at),
        started_at=at,
        finished_at=at,
        history=history,
    )
    summary = summarise(report, TARGET, history).model_dump(mode="json")
    return report, History.from_json([*(each.model_dump(mode="json") for each in history.runs), summary])


def test_findings_and_patterns_are_known_since_their_first_run() -> None:
    down = failed(TEST, fact(FactKind.REFUSED, "mlflow"), message="10.0.0.5:5000 refused after 12 ms")
    _, history = run(1, history=History())
    second, history = run(2, down, history=history)
    third, history = run(
        3, down.model_copy(update={"message": "10.9.9.9:5000 refused after 7 ms"}), history=history
    )
    fourth, history = run(4, history=history)
    assert [each.since for each in second.findings] == [AT + timedelta(days=2)]
    assert [(each.since, each.seen_runs) for each in third.findings] == [(AT + timedelta(days=2), 2)]
    assert [each.state for each in second.trend.patterns] == ["new"]
    assert [(each.state, each.since) for each in third.trend.patterns] == [("known", AT + timedelta(days=2))]
    assert [each.state for each in fourth.trend.patterns] == ["gone"]
    assert third.trend.last_good_run_id == "run-1"
    assert third.trend.previous_run_id == "run-2"
    assert any(each.worse and each.what == "verdict" for each in third.trend.against_last_good)
    assert {each.what for each in fourth.trend.against_previous if not each.worse} >= {"verdict"}
    name = row(TEST).test
    assert fourth.trend.outcomes[name] == ("passed", "failed", "failed", "passed")
    assert fourth.trend.availability["mlflow"] == 0.5
    assert fourth.trend.flaky_rate == 0


def test_outcomes_keep_the_last_twenty_and_only_of_the_run_itself() -> None:
    history = History()
    for number in range(25):
        _, history = run(number, history=history)
    report, history = run(25, failed(TEST), history=history)
    series = report.trend.outcomes[row(TEST).test]
    assert len(series) == 20
    assert series[-1] == "failed"
    # A run of another phase, which reads these rows back, does not count them again.
    again = assemble(
        run_id="next",
        target=TARGET,
        phases=as_phases(list(report.results)),
        started_at=AT + timedelta(days=30),
        finished_at=AT + timedelta(days=30),
        history=history,
    )
    assert again.trend.outcomes[row(TEST).test] == series


def test_the_two_known_scores_start_the_trend() -> None:
    history = History(runs=known_scores())
    report, _ = run(1, history=history)
    assert [point.scores.get("infrastructure_health") for point in report.trend.points][:2] == [
        6 / 11,
        4 / 11,
    ]
    assert report.trend.previous_run_id is None


def latencies(name: str, values_us: list[int]) -> RunSummary:
    return RunSummary(
        run_id=name, at=AT, verdict="healthy", histograms={"t|/health|open": encoded(values_us)}
    )


def test_a_shift_and_a_tail_are_told_with_their_test_and_effect() -> None:
    before = latencies("a", [5_000 + i for i in range(3000)])
    slower = latencies("b", [45_000 + i for i in range(3000)])
    spiky = latencies("c", [5_000 + i for i in range(2400)] + [900_000] * 600)
    same = latencies("d", [5_010 + i for i in range(3000)])
    shifted = [each for each in changes(before, slower) if each.what.startswith("p50")]
    assert [each.worse and each.significant for each in shifted] == [True]
    assert "Mann–Whitney" in shifted[0].test
    assert shifted[0].effect == 1.0
    tails = changes(before, spiky)
    assert [each.what for each in tails] == ["p95 of /health (ms)"]
    assert changes(before, same) == ()
    assert all(not each.worse for each in changes(slower, before))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 300), min_size=100, max_size=200),
    st.lists(st.integers(1, 300), min_size=100, max_size=200),
)
def test_the_shift_test_agrees_with_scipy(old: list[int], new: list[int]) -> None:
    ours = shift(binned(old), binned(new))
    assert ours is not None
    theirs = stats.mannwhitneyu(new, old, alternative="two-sided", method="asymptotic")
    if len(set(old + new)) > 1:
        assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    assert ours.effect == pytest.approx(2 * theirs.statistic / (len(old) * len(new)) - 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_fisher_agrees_with_scipy(a: int, b: int, c: int, d: int) -> None:
    if a + b and c + d:
        theirs = stats.fisher_exact([[a, b], [c, d]])[1]
        assert proportion_differs(a, a + b, c, c + d) == pytest.approx(theirs, rel=1e-6)


def test_holm_and_few_samples() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert shift(binned([1] * 5), binned([2] * 500)) is None
    assert tail(binned([1] * 5), binned([2] * 500)) is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3_000_000_000), max_size=200))
def test_histograms_of_the_reference_library_are_read(values_us: list[int]) -> None:
    text = encoded(values_us)
    ours = decode(text)
    assert ours.total == len(values_us)
    for percent in (1, 50, 95, 99, 100):
        if values_us:
            rank = max(1, math.ceil(len(values_us) * percent / 100))
            expected = sorted(values_us)[rank - 1] / 1000
            assert ours.percentile_ms(percent) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("text", ["", "no", base64.b64encode(b"\x1c\x84\x93\x14" + b"\0" * 8).decode()])
def test_anything_else_is_no_histogram(text: str) -> None:
    with pytest.raises(ValueError, match=r"histogram"):
        decode(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "GET http://10.0.0.1:8001/health timed out after 2.01 s",
            "GET http://10.1.2.3:99/health timed out after 12 s",
        ),
        ("run 0f8fad5b-d9cb-469f-a165-70867728950e gone", "run 7c9e6679-7425-40de-944b-e07fc1f90ae7 gone"),
        ("at 2026-01-01T10:00:00Z it broke", "at 2026-03-05 11:12:13.123+00:00 it broke"),
        ("commit 4f2c9ad1e runs", "commit 99ff12ab0 runs"),
    ],
)
def test_messages_that_differ_in_addresses_ids_and_times_are_one_pattern(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


def test_status_codes_tell_messages_apart() -> None:
    assert normalise("answered 502, expected 200") != normalise("answered 503, expected 200")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_flaky_tests_are_counted() -> None:
    rows = row(TEST, Status.PASSED, attempt=2, flaky=True)
    report, _ = run(1, rows, history=History())
    executed = [each for each in report.results if each.executed]
    assert report.trend.flaky_rate == pytest.approx(1 / len(executed))
