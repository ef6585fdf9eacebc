"""What a target permits, and what is refused before the first request."""

import pytest

from hokusai_validation.errors import NameNotResolved, NotPermitted, UsageError
from hokusai_validation.load.plan import Closed, Endpoint, Open, Origin, Plan
from hokusai_validation.load.schedule import constant
from hokusai_validation.load.site import Site
from hokusai_validation.permission import Gate
from hokusai_validation.resources.names import Resolver
from hokusai_validation.target import Endpoints, Instance, LoadPermission, Permissions, Target

OK = (Endpoint("ok", "/ok"),)
LOAD = LoadPermission(
    max_rate=100, max_duration_s=10, max_connections=5, stop_error_rate=0.2, stop_p99_ms=700
)


def site(load: LoadPermission | None = LOAD, url: str = "http://127.0.0.1:9") -> Site:
    target = Target(
        name="it",
        endpoints=Endpoints(registry=url),
        instances=(Instance(name="api-1", url="http://127.0.0.1:10"),),
        permissions=Permissions(load=load),
    )
    return Site(Gate(target), Resolver())


def test_a_plan_has_the_targets_ceilings_and_stop_condition() -> None:
    plan = site().plan(OK, Open(constant(100, 10)))
    assert (plan.connections, plan.max_rate) == (5, 100)
    assert plan.stop is not None
    assert (plan.stop.error_rate, plan.stop.p99_ms) == (0.2, 700)
    assert isinstance(plan.model, Open)
    assert plan.model.schedule.ramp_up_s == 1.0
    assert plan.duration_s == 11.0
    assert plan.origin == Origin("http", "127.0.0.1", 9, ("127.0.0.1",))


def test_an_instance_is_reached_by_its_own_address() -> None:
    assert site().plan(OK, Closed(requests=3), url="http://127.0.0.1:10").origin.port == 10


@pytest.mark.parametrize(
    ("model", "connections", "says"),
    [
        (Open(constant(101, 1)), None, "rate of 101/s is more than the 100/s"),
        (Open(constant(10, 11)), None, "duration of 11 s is more than the 10 s"),
        (Closed(duration_s=11), None, "duration of 11 s is more than the 10 s"),
        (Closed(requests=3), 6, "6 connections are more than the 5"),
    ],
)
def test_beyond_a_ceiling(model: Open | Closed, connections: int | None, says: str) -> None:
    with pytest.raises(NotPermitted, match=says):
        site().plan(OK, model, connections=connections)


def test_a_closed_run_without_an_end_is_ended_by_the_permission() -> None:
    plan = site().plan(OK, Closed(requests=10**9))
    assert plan.duration_s == 11.0
    assert plan.max_rate == 100


def test_never_without_permission() -> None:
    with pytest.raises(NotPermitted, match=r"no \[permissions\.load\]"):
        site(None).plan(OK, Closed(requests=1))


@pytest.mark.parametrize("url", ["http://127.0.0.1:11", "http://elsewhere.test", "http://127.0.0.1:9/other"])
def test_no_other_place(url: str) -> None:
    with pytest.raises(NotPermitted, match="not an endpoint or instance"):
        site().plan(OK, Closed(requests=1), url=url)


def test_a_host_that_does_not_resolve() -> None:
    with pytest.raises(NameNotResolved):
        site(url="http://nowhere.invalid").plan(OK, Closed(requests=1))


HERE = Origin("http", "127.0.0.1", 9, ("127.0.0.1",))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Plan(HERE, (), Closed(requests=1)), "no endpoint"),
        (lambda: Plan(HERE, OK, "poisson"), "model 'poisson' is not known"),  # type: ignore[arg-type]
        (lambda: Plan(HERE, OK + OK, Closed(requests=1)), "same name"),
        (lambda: Plan(HERE, OK, Closed(requests=1), connections=0), "0 connections"),
        (lambda: Plan(Origin("http", "h", 1, ()), OK, Closed(requests=1)), "no address"),
        (lambda: Endpoint("x", "ok"), "not one of the target's"),
        (lambda: Endpoint("x", "//evil.test/ok"), "not one of the target's"),
        (lambda: Endpoint("x", "http://evil.test/ok"), "not one of the target's"),
        (lambda: Endpoint("x", "/a b"), "percent-encoded"),
        (lambda: Endpoint("x", "/ok\r\nX: y"), "percent-encoded"),
        (lambda: Endpoint("x", "/ok", method="HEAD"), "HEAD"),
        (lambda: Endpoint("x", "/ok", headers=(("A", "b\r\nC: d"),)), "line end"),
        (lambda: Endpoint("x", "/ok", headers=(("A", "é"),)), "ASCII"),
        (lambda: Endpoint("x", "/ok", deadline_s=0), "deadline"),
        (lambda: Endpoint("x", "/ok", body=bytes(17 * 1024 * 1024)), "longer than"),
        (lambda: Closed(), "number of requests or a duration"),
        (lambda: Closed(requests=0), "0 requests"),
        (lambda: Closed(duration_s=-1), "duration of -1"),
        (lambda: Closed(requests=1, think_s=-1), "think time"),
    ],
)
def test_what_is_refused(make, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=says):
        make()
