"""The engine with its worker processes: merging, stopping, and nobody left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from hokusai_sandbox_tests.aids import all_gone
from hokusai_validation.errors import NotJudged
from hokusai_validation.load.engine import Engine
from hokusai_validation.load.outcome import Second
from hokusai_validation.load.plan import Closed, Endpoint, Open, Plan, StopCondition
from hokusai_validation.load.schedule import constant
from hokusai_validation_tests.load.stub import Stub

OK = (Endpoint("ok", "/ok"),)


@pytest.fixture(scope="module")
def two() -> Iterator[Engine]:
    with Engine(processes=2) as engine:
        yield engine


def _wait_for(true: object, limit_s: float = 10.0) -> None:
    until = time.monotonic() + limit_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.02)


def test_processes_share_an_open_run_and_merge(two: Engine, stub: Stub) -> None:
    seconds: list[Second] = []
    plan = Plan(stub.origin, OK, Open(constant(301, 1.2).with_ramp_up(0.1)), connections=5, segments=2)
    outcome = two.run(plan, seconds.append)
    assert isinstance(plan.model, Open)
    assert stub.seen["/ok"] == plan.model.schedule.total
    assert outcome.requests + outcome.ramp_up_requests == plan.model.schedule.total
    assert outcome.intended.count == outcome.sent.count == outcome.requests
    assert sum(part.count for part in outcome.endpoints["ok"].segments) == outcome.requests
    assert sum(second.requests for second in outcome.seconds) == plan.model.schedule.total
    assert len(seconds) >= 2 * len(outcome.seconds) - 2
    assert outcome.check.processes == 2
    assert outcome.check.due == plan.model.schedule.total


def test_processes_share_a_closed_run(two: Engine, stub: Stub) -> None:
    outcome = two.run(Plan(stub.origin, OK, Closed(requests=41), connections=3))
    assert (outcome.model, outcome.requests, stub.seen["/ok"]) == ("closed", 41, 41)
    assert stub.most_in_flight <= 3


def test_one_engine_runs_one_plan_after_the_other(two: Engine, stub: Stub) -> None:
    for requests in (5, 7):
        assert two.run(Plan(stub.origin, OK, Closed(requests=requests), connections=2)).requests == requests


def test_a_stop_ends_every_process(two: Engine, stub: Stub) -> None:
    running = two.start(Plan(stub.origin, OK, Open(constant(100, 60)), connections=4))
    _wait_for(lambda: stub.seen["/ok"] > 20)
    threading.Timer(0.0, running.stop, args=("asked to",)).start()
    outcome = running.result()
    assert outcome.stopped == "asked to"
    assert outcome.elapsed_s < 30
    sent = stub.seen["/ok"]
    time.sleep(0.1)
    assert stub.seen["/ok"] == sent


def test_the_stop_condition_of_one_process_ends_all(two: Engine, stub: Stub) -> None:
    endpoints = (Endpoint("good", "/ok"), Endpoint("bad", "/status?code=500"))
    # Two processes and two endpoints in turn: one process gets all the bad ones.
    plan = Plan(
        stub.origin, endpoints, Open(constant(200, 60)), connections=4, stop=StopCondition(error_rate=0.6)
    )
    outcome = two.run(plan)
    assert "error rate" in outcome.stopped
    assert outcome.elapsed_s < 30


def test_a_worker_that_dies_is_said_so(stub: Stub) -> None:
    before = {child.pid for child in psutil.Process().children()}
    with Engine() as engine:
        running = engine.start(Plan(stub.origin, OK, Open(constant(100, 60)), connections=2))
        (worker,) = {child.pid for child in psutil.Process().children()} - before
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(NotJudged, match="died in the middle"):
            running.result()


OWNER = """
import sys
from hokusai_validation.load.engine import Engine
from hokusai_validation.load.plan import Endpoint, Open, Origin, Plan
from hokusai_validation.load.schedule import constant
plan = Plan(Origin("http", "127.0.0.1", int(sys.argv[1]), ("127.0.0.1",)), (Endpoint("ok", "/ok"),),
            Open(constant(100, 120)), connections=2)
Engine().start(plan).result()
"""


def test_when_the_owner_is_killed_nobody_sends_on(stub: Stub) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(stub.port)])
    try:
        _wait_for(lambda: stub.seen["/ok"] > 10)
        (worker,) = psutil.Process(owner.pid).children()
    finally:
        owner.kill()
        owner.wait()
    _wait_for(lambda: all_gone([worker]))


def test_no_secret_stands_on_a_workers_command_line(stub: Stub) -> None:
    secret = "hk_test_0123456789abcdef"
    endpoint = Endpoint("ok", "/ok", headers=(("Authorization", f"Bearer {secret}"),))
    before = {child.pid for child in psutil.Process().children()}
    with Engine() as engine:
        running = engine.start(Plan(stub.origin, (endpoint,), Closed(requests=3), connections=1))
        workers = [child for child in psutil.Process().children() if child.pid not in before]
        assert workers
        assert all(secret not in " ".join(worker.cmdline()) for worker in workers)
        assert running.result().good == 3
    assert secret.encode() in stub.heads[0]
    assert secret not in repr(running.plan)
