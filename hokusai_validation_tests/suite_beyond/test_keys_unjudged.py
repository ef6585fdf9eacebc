"""An instance that can't ask the auth service, whose own address is well: what relies on it is not executed,
and nothing that takes long is asked twice."""

from collections import Counter
from collections.abc import Iterator, Mapping

import pytest

from hokusai_validation.errors import UnhealthyBefore
from hokusai_validation.probes import baseline, states
from hokusai_validation.probes.baseline import in_steady_state, require_well
from hokusai_validation.probes.instances import ApiInstance
from hokusai_validation.resources.shared import Lately
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.topology import Role
from hokusai_validation_tests.suite_beyond.stub import Answering, Reply, Stub, serving

UNSERVED = Reply(503, {"detail": "Authentication service unavailable"})
RESET = "/health/mlflow/reset"
CONNECTED = {
    "connected": True,
    "circuit_breaker_state": "CLOSED",
    "tracking_uri": "http://mlflow:5000",
    "response_time_ms": 1.0,
    "timestamp": "2026-01-01T00:00:00Z",
}


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator["Instance"]:
    monkeypatch.setattr(baseline, "_out", {})
    monkeypatch.setattr(states, "_unserved", Lately("reset unserved", states.UNSERVED_FOR_S))
    with serving() as stub:
        yield Instance(stub)


class Instance:
    """The stub, and how often its keyed paths were asked."""

    def __init__(self, stub: Stub) -> None:
        self.stub, self.asked = stub, Counter[str]()
        stub.replies["/health/mlflow"] = Reply(200, CONNECTED)
        for path in ("/", RESET):
            stub.replies[path] = self._counting(path)

    def _counting(self, path: str) -> Answering:
        def answer(_: str, headers: Mapping[str, str]) -> Reply:
            self.asked[path] += 1
            return UNSERVED

        return answer

    def enter(self, *relies_on: Role) -> None:
        target = self.stub.target()
        instance = ApiInstance("api-1", self.stub.client(), None)
        with in_steady_state(instance, None, target, Evidence(target), relies_on):
            """A test that does nothing."""


def test_what_relies_on_keys_is_not_executed_and_not_looked_at_again(instance: Instance) -> None:
    for _ in range(3):
        with pytest.raises(UnhealthyBefore) as raised:
            instance.enter(Role.AUTH)
        assert raised.value.component == "auth"
    assert instance.asked["/"] == 1


def test_what_does_not_is_executed_without_the_reset(instance: Instance) -> None:
    for _ in range(3):
        instance.enter()
    assert instance.asked == {RESET: 1}


def test_what_some_instances_serve_without_a_part_is_not_judged_as_what_all_serve(instance: Instance) -> None:
    target = instance.stub.target()
    with serving() as other:
        services = {"mlflow": "healthy", "redis": "unhealthy"}
        other.replies["/health"] = Reply(200, {"status": "unhealthy", "services": services})
        both = [
            ApiInstance(name, each.client(), None)
            for name, each in (("api-1", instance.stub), ("api-2", other))
        ]
        require_well(both, target, (Role.DATABASE,))
        with pytest.raises(UnhealthyBefore) as raised:
            require_well(both, target, (Role.CACHE,))
    assert (raised.value.component, "api-2" in str(raised.value)) == ("redis", True)


def test_an_instance_that_judges_keys_is_relied_on(instance: Instance) -> None:
    instance.stub.replies["/"] = Reply(401, {"detail": "Invalid API key"})
    instance.enter(Role.AUTH)
