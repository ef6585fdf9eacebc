"""Schedules as tables: when arrival i is due."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.errors import UsageError
from hokusai_validation.load.schedule import Schedule, Stage, constant, cycle, ramp, spike

STAGES = st.builds(
    Stage,
    duration_s=st.floats(0.01, 20),
    first=st.floats(0, 500).map(lambda rate: round(rate, 3)),
    last=st.floats(0, 500).map(lambda rate: round(rate, 3)),
)
PROFILES = st.lists(STAGES, min_size=1, max_size=4).filter(lambda stages: sum(s.arrivals for s in stages) > 1)


@pytest.mark.parametrize(
    ("schedule", "times"),
    [
        (constant(4, 1), [0, 0.25, 0.5, 0.75]),
        (constant(0.5, 4), [0, 2]),
        (constant(30, 0.1), [0, 1 / 30, 2 / 30]),
        (ramp(0, 4, 2), [0, 1, math.sqrt(2), math.sqrt(3)]),
        (ramp(4, 0, 2), [0, 2 - math.sqrt(3), 2 - math.sqrt(2), 1]),
        (spike(1, 4, 2, 1, 2), [0, 1, 2, 2.25, 2.5, 2.75, 3, 4]),
        (constant(2, 1).with_ramp_up(2), [0, math.sqrt(2), 2, 2.5]),
    ],
)
def test_when(schedule: Schedule, times: list[float]) -> None:
    assert schedule.total == len(times)
    assert [schedule.when(i) for i in range(schedule.total)] == pytest.approx(times)


def test_a_silent_stage_is_waited_through() -> None:
    schedule = Schedule((Stage(1, 2, 2), Stage(5, 0, 0), Stage(1, 2, 2)))
    assert [schedule.when(i) for i in range(4)] == pytest.approx([0, 0.5, 6, 6.5])


@given(PROFILES)
def test_times_never_go_back_and_stay_inside(stages: list[Stage]) -> None:
    schedule = Schedule(tuple(stages))
    total = schedule.total
    indexes = sorted({*range(min(total, 60)), total // 2, total - 1})
    times = [schedule.when(i) for i in indexes]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= schedule.duration_s + 1e-9


@given(PROFILES)
def test_as_many_are_due_by_a_time_as_the_rate_adds_up_to(stages: list[Stage]) -> None:
    schedule = Schedule(tuple(stages))
    for index in {0, schedule.total // 3, schedule.total - 1}:
        at = schedule.when(index)
        due, start = 0.0, 0.0
        for stage in stages:
            part = min(max(at - start, 0), stage.duration_s)
            due += stage.first * part + (stage.last - stage.first) * part * part / (2 * stage.duration_s)
            start += stage.duration_s
        assert due == pytest.approx(index, abs=1e-3)


def test_rate_at() -> None:
    schedule = spike(10, 50, 1, 1, 1).with_ramp_up(2)
    assert [schedule.rate_at(at) for at in (-1, 0, 1, 2.5, 3.5, 4.5, 5)] == [0, 0, 5, 10, 50, 10, 0]
    assert schedule.peak == 50
    assert (schedule.duration_s, schedule.ramp_up_s) == (5, 2)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: constant(0, 1), "rate of 0/s"),
        (lambda: constant(-3, 1), "rate of -3/s"),
        (lambda: constant(math.nan, 1), "rate of nan/s"),
        (lambda: constant(math.inf, 1), "finite"),
        (lambda: constant(1, 0), "duration of 0 s"),
        (lambda: constant(1, -2), "duration of -2 s"),
        (lambda: ramp(-1, 5, 1), "rate of -1/s"),
        (lambda: ramp(0, 0, 1), "sends nothing"),
        (lambda: spike(1, 0, 1, 1, 1), "rate of 0/s"),
        (lambda: Schedule(()), "at least one stage"),
        (lambda: cycle(()), "no endpoint"),
        (lambda: cycle((1, 0)), "Weights"),
    ],
)
def test_what_makes_no_schedule_is_refused(make, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=says):
        make()


@pytest.mark.parametrize("index", [-1, 4])
def test_there_is_nothing_beyond_the_end(index: int) -> None:
    with pytest.raises(IndexError):
        constant(4, 1).when(index)


def test_a_mix_is_spread_evenly() -> None:
    assert cycle((1,)) == (0,)
    assert cycle((2, 1)) == (0, 1, 0)
    assert cycle((5, 1, 1)) == (0, 0, 1, 0, 2, 0, 0)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_a_mix_keeps_its_weights(weights: list[int]) -> None:
    order = cycle(tuple(weights))
    assert [order.count(i) for i in range(len(weights))] == weights
