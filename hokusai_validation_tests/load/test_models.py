"""Open and closed runs against a real server: how much is sent, when, and what is measured."""

import pytest

from hokusai_validation.load.models import Throttle
from hokusai_validation.load.outcome import Second
from hokusai_validation.load.plan import Closed, Endpoint, Open, Plan, StopCondition
from hokusai_validation.load.schedule import constant, spike
from hokusai_validation_tests.load.conftest import execute
from hokusai_validation_tests.load.stub import Stub

OK = (Endpoint("ok", "/ok"),)


def test_an_open_run_sends_what_its_schedule_says(stub: Stub) -> None:
    schedule = spike(100, 400, 0.2, 0.1, 0.2).with_ramp_up(0.1)
    outcome = execute(Plan(stub.origin, OK, Open(schedule), connections=5))
    assert stub.seen == {"/ok": schedule.total}
    assert outcome.requests + outcome.ramp_up_requests == schedule.total
    assert outcome.ramp_up_requests == 5
    assert outcome.elapsed_s == pytest.approx(0.5, abs=1e-6)
    assert outcome.rate_per_s == pytest.approx(160)
    assert outcome.check.due == schedule.total


def test_latency_counts_from_when_a_request_was_due(stub: Stub) -> None:
    # One connection and answers that take 50 ms, asked for every 10 ms: the target is five times
    # too slow, which the time since sending does not show and the time since due does.
    plan = Plan(stub.origin, (Endpoint("slow", "/slow?s=0.05"),), Open(constant(100, 0.2)), connections=1)
    outcome = execute(plan)
    assert outcome.requests == 20
    sent_ms, intended_ms = outcome.sent.percentile_ms(90), outcome.intended.percentile_ms(90)
    assert sent_ms is not None
    assert intended_ms is not None
    assert intended_ms > 500
    assert sent_ms < intended_ms / 2
    assert outcome.check.waited >= 15
    assert stub.connections == 1


def test_connections_are_the_limit_of_requests_in_flight(stub: Stub) -> None:
    plan = Plan(stub.origin, (Endpoint("slow", "/slow?s=0.05"),), Open(constant(200, 0.3)), connections=4)
    assert execute(plan).requests == 60
    assert stub.most_in_flight == 4


def test_a_request_that_finds_no_connection_before_its_deadline_is_a_time_out(stub: Stub) -> None:
    plan = Plan(
        stub.origin,
        (Endpoint("slow", "/slow?s=0.15", deadline_s=0.2),),
        Open(constant(40, 0.3)),
        connections=1,
    )
    outcome = execute(plan)
    assert outcome.requests == 12
    assert outcome.errors["timeout_queue"] >= 6
    assert outcome.check.dropped == 0


def test_segments_split_the_judged_time(stub: Stub) -> None:
    schedule = constant(100, 0.6).with_ramp_up(0.1)
    outcome = execute(Plan(stub.origin, OK, Open(schedule), connections=5, segments=3))
    assert [part.count for part in outcome.endpoints["ok"].segments] == [20, 20, 20]


def test_a_closed_run_of_so_many_requests(stub: Stub) -> None:
    outcome = execute(Plan(stub.origin, OK, Closed(requests=50), connections=4))
    assert stub.seen == {"/ok": 50}
    assert outcome.requests == outcome.good == 50
    assert outcome.rate_per_s == pytest.approx(50 / outcome.elapsed_s)


def test_a_closed_run_of_so_long(stub: Stub) -> None:
    seconds: list[Second] = []
    outcome = execute(Plan(stub.origin, OK, Closed(duration_s=1.3), connections=4), seconds)
    assert outcome.good == outcome.requests == outcome.intended.count == stub.seen["/ok"]
    assert outcome.elapsed_s > 1.2
    assert sum(second.requests for second in seconds) == outcome.requests
    assert [second.index for second in seconds][:2] == [0, 1]


@pytest.mark.parametrize("lead_s", [0.0004, 0.0014, 0.0024, 0.0054])
def test_a_closed_run_asks_nothing_before_it_begins(stub: Stub, lead_s: float) -> None:
    # Event loops' timers ring up to a millisecond early: an answer could come before the start.
    for _ in range(20):
        outcome = execute(Plan(stub.origin, OK, Closed(requests=3), connections=1), lead_s=lead_s)
        assert (outcome.ramp_up_requests, outcome.good) == (0, 3)


def test_nobody_asks_before_having_thought(stub: Stub) -> None:
    outcome = execute(Plan(stub.origin, OK, Closed(requests=200, think_s=0.0016), connections=2))
    assert outcome.good == 200
    assert (outcome.intended.min_ms or 0) >= (outcome.sent.min_ms or 0) > 0


def test_think_time(stub: Stub) -> None:
    outcome = execute(Plan(stub.origin, OK, Closed(requests=6, think_s=0.1), connections=2))
    assert outcome.good == 6
    assert outcome.elapsed_s >= 0.2


def test_users_join_one_after_the_other(stub: Stub) -> None:
    plan = Plan(
        stub.origin, (Endpoint("slow", "/slow?s=0.3"),), Closed(requests=4, join_s=0.4), connections=4
    )
    outcome = execute(plan)
    assert outcome.good == 4
    assert outcome.elapsed_s >= 0.55


def test_a_closed_run_keeps_the_permitted_rate(stub: Stub) -> None:
    outcome = execute(Plan(stub.origin, OK, Closed(duration_s=0.9), connections=4, max_rate=100))
    assert stub.seen["/ok"] <= 100
    assert outcome.check.throttled > 50
    assert (outcome.intended.percentile_ms(50) or 999) < 100  # being held back is not the target's latency


@pytest.mark.parametrize(("rate", "burst"), [(1, 5), (3, 50), (10, 2), (100, 20), (100, 500), (2.5, 1)])
def test_a_throttle_keeps_its_rate_in_every_second(rate: float, burst: int) -> None:
    throttle, now, sent = Throttle(rate, burst), 0.0, []
    for _ in range(400):
        now += throttle.take(now)
        sent.append(now)
    for index, start in enumerate(sent):
        assert sum(start <= at < start + 1 - 1e-9 for at in sent[index:]) <= max(1, rate)
    assert len(sent) / sent[-1] > rate * 0.45


def test_a_run_stops_at_once_when_errors_pass_the_stop_condition(stub: Stub) -> None:
    endpoints = (Endpoint("bad", "/status?code=500"),)
    plan = Plan(
        stub.origin, endpoints, Open(constant(200, 10)), connections=5, stop=StopCondition(error_rate=0.3)
    )
    outcome = execute(plan)
    assert "error rate over the last second was 100%" in outcome.stopped
    assert stub.seen["/status"] < 1000
    assert outcome.elapsed_s < 5


def test_a_run_stops_at_once_when_nothing_answers(stub: Stub) -> None:
    plan = Plan(
        stub.origin, (Endpoint("hang", "/hang"),), Open(constant(200, 10)), connections=5,
        stop=StopCondition(p99_ms=200),
    )  # fmt: skip
    outcome = execute(plan)
    assert "p99 over the last second passed" in outcome.stopped
    assert outcome.elapsed_s < 5
    assert outcome.aborted > 20


def test_a_dead_target_is_not_asked_as_fast_as_we_can(stub: Stub) -> None:
    plan = Plan(stub.origin, (Endpoint("reset", "/reset"),), Closed(duration_s=0.3), connections=1)
    outcome = execute(plan)
    assert set(outcome.errors) == {"reset"}
    assert outcome.requests < 40
