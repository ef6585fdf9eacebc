"""Figures of the probe, and the probe itself against an API of our own."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from hokusai_validation.chaos.probe import (
    DEADLINE_S,
    Floor,
    Probe,
    Route,
    Shot,
    availability,
    percentile_ms,
    silence,
)
from hokusai_validation.errors import NoSteadyState
from hokusai_validation.resources.http import HttpClient
from hokusai_validation_tests.chaos.stage import Api
from hokusai_validation_tests.links.program import until


def shot(live_ms: float | None = 1.0, live: str | None = "", key: str | None = "", due: float = 0.0) -> Shot:
    return Shot("api", due, live_ms=live_ms, live_problem=live, key_problem=key)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(
    values: list[float], share: float
) -> None:
    found = percentile_ms(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values) + 1e-9


def test_nothing_probed_has_no_figures() -> None:
    assert percentile_ms([], 0.5) is None
    assert availability([]) is None
    assert not silence([]).blocked


def test_good_means_both_answers_right_and_in() -> None:
    assert shot().good
    assert not shot(live="ReadTimedOut").good
    assert not shot(key="answered 500").good
    assert not shot(key=None).good
    assert not shot(key=None).ended
    assert availability([shot(), shot(), shot(), shot(live="x")]) == 0.75


def test_silence_is_a_share_of_probes_not_one_slow_answer() -> None:
    quick, slow, none = shot(20), shot(600), shot(None, live="ReadTimedOut")
    assert not silence([quick] * 19 + [none]).blocked
    found = silence([quick] * 5 + [slow] * 3 + [none] * 2)
    assert found.blocked
    assert (found.due, found.unanswered, found.longest_s) == (10, 5, DEADLINE_S)
    assert not silence([none] * 4).blocked  # too few to tell


def test_probes_come_at_their_rate_whatever_the_target_does() -> None:
    api = Api()
    client = HttpClient(api.url, key=SecretStr("hk_live_0123456789"))
    probe = Probe([Route("api", client, authenticated=True)], rate_per_s=50, deadline_s=0.3)
    probe.start()
    assert until(lambda: sum(each.good for each in probe.shots) >= 10)
    api.blocked.set()
    blocked_at = time.monotonic()
    assert until(lambda: len(probe.between("api", blocked_at, time.monotonic())) >= 25)
    api.blocked.clear()
    probe.stop()
    during = probe.between("api", blocked_at, blocked_at + 0.2)
    assert all(each.ended for each in probe.shots[:-1])
    assert sum(each.good for each in during) <= 1
    gaps = [b.due_at - a.due_at for a, b in zip(probe.shots, probe.shots[1:], strict=False)]
    assert max(gaps) < 0.0201
    api.server.stop()


def test_a_refused_key_is_no_steady_state() -> None:
    api = Api()
    api.refuses_keys = True
    probe = Probe(
        [Route("api", HttpClient(api.url, key=SecretStr("hk_live_0123456789")), authenticated=True)]
    )
    with pytest.raises(NoSteadyState, match="answered 401"):
        probe.start()
    probe.stop()
    api.server.stop()


def test_the_floor_is_called_once_and_only_while_a_fault_is_on() -> None:
    api = Api()
    told: list[float] = []
    floor = Floor(0.5, window_s=0.5, least_shots=5)
    probe = Probe(
        [Route("api", HttpClient(api.url), authenticated=False)],
        rate_per_s=50,
        deadline_s=0.2,
        floor=floor,
        on_low=told.append,
    )
    probe.start()
    api.blocked.set()
    assert until(lambda: sum(not each.good for each in probe.shots if each.ended) > 20)
    assert told == []
    floor.since = time.monotonic()
    assert until(lambda: len(told) == 1)
    assert told[0] < 0.5
    time.sleep(0.2)
    api.blocked.clear()
    probe.stop()
    assert len(told) == 1
    api.server.stop()
