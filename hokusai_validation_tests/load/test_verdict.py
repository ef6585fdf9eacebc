"""Verdicts from outcomes that are made up: the generator first, then the limits."""

from collections import Counter

import numpy as np
import pytest

from hokusai_validation.errors import UsageError
from hokusai_validation.load.histogram import Histogram
from hokusai_validation.load.limits import CATALOGUE, Limits, limits_of
from hokusai_validation.load.outcome import EndpointOutcome, Outcome, SelfCheck
from hokusai_validation.load.performance import curve, merge, numbers, performances
from hokusai_validation.load.plan import StopCondition
from hokusai_validation.load.stop import Watch
from hokusai_validation.load.verdict import breaches, carried, closed_limit, growth_mb, kept_up, saturation
from hokusai_validation.target import Limits as TargetLimits
from hokusai_validation.target import Target


def latencies(*milliseconds: float, count: int = 1) -> Histogram:
    histogram = Histogram()
    histogram.record_all(np.array(milliseconds * count) / 1000)
    return histogram


def outcome(
    model: str = "open",
    *,
    latency: Histogram | None = None,
    good: int = 100,
    requests: int = 100,
    check: SelfCheck | None = None,
    elapsed_s: float = 1.0,
) -> Outcome:
    latency = latencies(10, count=good) if latency is None else latency
    part = EndpointOutcome("it", requests, good, intended=latency, sent=latency)
    part.errors = Counter({"reset": requests - good}) if requests > good else Counter()
    return Outcome(model, elapsed_s, endpoints={"it": part}, check=check or SelfCheck())


@pytest.mark.parametrize(
    ("count", "percent", "given"),
    [
        (1999, 99, False), (2000, 99, True), (99, 95, False), (100, 95, True), (49, 90, False), (50, 90, True),
        (9, 50, False), (10, 50, True), (20_000, 99.9, True), (19_999, 99.9, False),
    ],
)  # fmt: skip
def test_a_percentile_is_given_where_the_samples_carry_it(count: int, percent: float, given: bool) -> None:
    assert (carried(latencies(1, count=count), percent) is not None) is given


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (SelfCheck(), ""),
        (SelfCheck(lag=latencies(4.9, count=100)), ""),
        (SelfCheck(lag=latencies(5.5, count=100)), "sent late, p99 5.5 ms"),
        (SelfCheck(due=100, dropped=1), "1 of 100 requests that were due could not be sent"),
        (SelfCheck(cpu_share=0.8), ""),
        (SelfCheck(cpu_share=0.81), "81% of a core"),
    ],
)
def test_saturation(check: SelfCheck, says: str) -> None:
    found = saturation(outcome(check=check))
    assert (says in found) if says else (found == "")
    assert saturation(outcome("closed", check=check)) == ""


def test_lag_is_compared_with_the_latency_it_would_spoil() -> None:
    slow = latencies(80, count=100)
    assert saturation(outcome(latency=slow, check=SelfCheck(lag=latencies(7.5, count=100)))) == ""
    assert "sent late" in saturation(outcome(latency=slow, check=SelfCheck(lag=latencies(8.5, count=100))))


def test_a_closed_run_says_what_held_it_down() -> None:
    assert closed_limit(outcome("closed")) == ""
    assert "generator, not the target" in closed_limit(outcome("closed", check=SelfCheck(cpu_share=0.9)))
    assert "permitted rate" in closed_limit(outcome("closed", check=SelfCheck(throttled=4)))
    assert closed_limit(outcome("open", check=SelfCheck(cpu_share=0.9))) == ""


@pytest.mark.parametrize(
    ("run", "limits", "broken"),
    [
        (outcome(), Limits(good_share=1.0, mean_ms=11, p95_ms=11), []),
        (outcome(good=94), Limits(good_share=0.95), ["good_share"]),
        (outcome(good=95), Limits(good_share=0.95), []),
        (outcome(good=0, requests=0), Limits(good_share=0.5), ["good_share"]),
        (outcome(), Limits(mean_ms=9), ["mean_ms"]),
        (outcome(), Limits(p95_ms=9), ["p95_ms"]),
        (outcome("closed"), Limits(p95_ms=9), []),  # percentiles are the open run's
        (outcome(good=99, requests=99), Limits(p95_ms=9), []),  # too few samples to say
        (outcome(latency=latencies(10, count=2000)), Limits(p99_ms=9), ["p99_ms"]),
        (outcome(latency=latencies(10, count=1999)), Limits(p99_ms=9), []),
        (outcome("closed", elapsed_s=10), Limits(min_rate_per_s=10), ["min_rate_per_s"]),
        (outcome("closed", elapsed_s=9), Limits(min_rate_per_s=10), []),
        (outcome("open", elapsed_s=10), Limits(min_rate_per_s=10), []),
    ],
)
def test_limits(run: Outcome, limits: Limits, broken: list[str]) -> None:
    assert [breach.limit for breach in breaches(run, limits)] == broken
    assert [breach.limit for breach in breaches(run, limits, "it")] == broken


def test_a_breach_says_what_was_promised_and_seen() -> None:
    (breach,) = breaches(outcome(good=90), Limits(good_share=0.95))
    assert breach.says == "open run: 90.0% good answers, at least 95% were promised (reset 10)"


@pytest.mark.parametrize(
    ("later", "earlier", "good"),
    [
        (15, 10, True),
        (29.9, 10, True),
        (30.1, 10, False),
        (149, 100, True),
        (151, 100, False),
        (None, 10, False),
        (5, None, False),
    ],
)
def test_a_comparison_has_a_floor(later: float | None, earlier: float | None, good: bool) -> None:
    assert kept_up(later, earlier, 1.5) is good


def test_growth() -> None:
    assert growth_mb([(0, 50e6), (500, 50.5e6), (1000, 51e6)]) == pytest.approx(1.0)
    assert growth_mb([(0, 50e6), (500, 50e6), (1000, 50e6)]) == pytest.approx(0.0)
    assert growth_mb([(0, 50e6), (500, 51e6)]) is None
    assert growth_mb([(5, 50e6)] * 4) is None


def _target(**tests: dict[str, float]) -> Target:
    return Target(name="it", limits=TargetLimits(tests=tests))


def test_a_target_may_tighten_a_limit_and_not_widen_it() -> None:
    tight = limits_of("L1", _target(L1={"mean_ms": 50, "good_share": 0.99}))
    assert (tight.mean_ms, tight.good_share, tight.p95_ms) == (50, 0.99, 2000)
    assert limits_of("L1", _target(L1={"mean_ms": 5000, "good_share": 0.1})) == CATALOGUE["L1"]
    assert limits_of("L2", _target(L2={"p95_ms": 70})).p95_ms == 70
    with pytest.raises(UsageError, match=r"limits\.tests\.L1\.mean"):
        limits_of("L1", _target(L1={"mean": 5}))


def test_live_is_limited_by_the_targets_own_number() -> None:
    target = Target(name="it", limits=TargetLimits(live_p99_ms=40))
    assert limits_of("L6", target).live_p99_ms == 40


class TestStopCondition:
    condition = StopCondition(error_rate=0.5, p99_ms=100)

    @pytest.mark.parametrize(
        ("portions", "overdue", "says"),
        [
            ([(0.1, 19, 19, 0)], 0, ""),  # too few
            ([(0.1, 20, 10, 0)], 0, ""),
            ([(0.1, 20, 11, 0)], 0, "error rate"),
            ([(0.1, 1000, 0, 0), (2.0, 20, 15, 0)], 0, "error rate"),  # what is long past doesn't hide it
            ([(0.1, 20, 15, 0), (2.0, 200, 0, 0)], 0, ""),  # nor does it hold against it
            ([(0.1, 100, 0, 1)], 0, ""),
            ([(0.1, 100, 0, 2)], 0, "p99"),
            ([(0.1, 0, 0, 0)], 25, "p99"),  # nothing comes back at all
            ([(0.1, 500, 0, 3)], 1, ""),
        ],
    )
    def test_reason(self, portions: list[tuple[float, int, int, int]], overdue: int, says: str) -> None:
        watch = Watch(self.condition)
        for portion in portions:
            watch.add(*portion)
        reason = watch.reason(overdue)
        assert (says in reason) if says else (reason == "")


def test_metrics_carry_units_and_only_what_is_carried() -> None:
    values = numbers(outcome(good=98))
    assert values["p90_ms"] == pytest.approx(10, rel=1e-2)
    assert "p95_ms" not in values
    assert values["errors_reset"] == 2
    assert values["good_share"] == 0.98


def test_the_reports_form() -> None:
    run = outcome(latency=latencies(1, 2, 3, 4, count=1000))
    run.endpoints["other"] = EndpointOutcome("other", 10, 10, intended=latencies(9, count=10))
    whole, first, other = performances("L5", run, [{"t_s": 0.4, "api-1_rss_mb": 50.0}])
    assert (whole.endpoint, first.endpoint, other.endpoint) == ("all", "it", "other")
    assert first.p99_ms == pytest.approx(4, rel=1e-2)
    assert (other.p95_ms, other.p99_ms) == (None, None)
    assert whole.series == ({"t_s": 0.0, "api-1_rss_mb": 50.0},)
    assert whole.histogram is not None
    assert Histogram.decode(whole.histogram).count == 4010


def test_samplers_are_merged_by_second() -> None:
    run = outcome()
    assert merge(run, [{"t_s": 1.2, "a": 1.0}, {"t_s": 1.9, "b": 2.0}]) == ({"t_s": 1.0, "a": 1.0, "b": 2.0},)


def test_the_curve_goes_no_further_than_the_samples() -> None:
    points = curve(latencies(*range(1, 101)))
    assert points[-1][0] == 100.0
    assert points[-1][1] == pytest.approx(100, rel=1e-3)
    assert points[-2][0] == 99.0
    assert [y for _, y in points] == sorted(y for _, y in points)
    assert curve(Histogram()) == ()
