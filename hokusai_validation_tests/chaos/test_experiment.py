"""Experiments on a stage of our own: each way in which one ends."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from hokusai_validation.chaos.experiment import AvailabilityTooLow, Experiment
from hokusai_validation.chaos.faults.refuse import Refuse
from hokusai_validation.chaos.injection import Injector
from hokusai_validation.chaos.probe import Floor, Route
from hokusai_validation.errors import FaultNotProven, NoSteadyState, TargetBusy
from hokusai_validation.journal import Journal
from hokusai_validation.resources.http import HttpClient
from hokusai_validation_tests.chaos.conftest import Recorder
from hokusai_validation_tests.chaos.stage import Stage
from hokusai_validation_tests.chaos.test_link_faults import NeverSeen
from hokusai_validation_tests.links.program import until

MLFLOW = "api-1->mlflow"
Make = Callable[..., Experiment]


@pytest.fixture
def make(scenery: Stage, injector: Injector, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Experiments on the stage, with little patience."""
    monkeypatch.setattr("hokusai_validation.chaos.experiment.STEADY_WITHIN_S", 5.0)
    api = scenery.apis["api-1"]
    users = HttpClient(api.url, key=SecretStr("hk_live_0123456789"))

    def made(**values: Any) -> Experiment:
        own = Route("api-1", HttpClient(api.url), authenticated=False)
        experiment = Experiment(
            "Something is wrong",
            target=scenery.target,
            injector=injector,
            routes=[Route("load_balancer", users, authenticated=True), own],
            watched=own,
            evidence=recorder,
            **values,
        )
        experiment.probe.floor = Floor(0.5, window_s=0.5, least_shots=5)
        return experiment

    return made


def journal(recorder: Recorder) -> dict[str, Any]:
    kept = recorder.values["journal"]
    assert isinstance(kept, Journal)
    return kept.model_dump(mode="json")


def test_a_good_experiment_and_its_journal(make: Make, recorder: Recorder, scenery: Stage) -> None:
    api = scenery.apis["api-1"]
    with make() as run:
        with run.inject(Refuse(MLFLOW)):
            api.status, api.breaker = "degraded", "degraded"
            assert until(lambda: run.watch.breaker_sequence[-1] == "OPEN")
        api.status, api.breaker = "healthy", "healthy"
        assert run.recovers("healthy", lambda: run.watch.sequence[-1] == "healthy") < 2
        assert run.availability() == 1.0
    kept = journal(recorder)
    assert kept["status"] == "completed"
    assert kept["deviated"] is False
    assert kept["steady_states"]["before"]["steady_state_met"] is True
    assert kept["steady_states"]["after"]["steady_state_met"] is True
    names = [each["activity"]["name"] for each in kept["run"]]
    assert names == ["applied: refuse on link api-1->mlflow", "proven: refuse on link api-1->mlflow"]
    assert [each["activity"]["name"] for each in kept["rollbacks"]] == [
        "rolled back: refuse on link api-1->mlflow"
    ]
    timeline = kept["timeline"]
    (fault,) = timeline["faults"]
    assert 0 < fault["on_s"] < fault["off_s"] < timeline["duration_s"]
    assert "connection refused" in fault["seen"]
    assert [each["route"] for each in timeline["probes"]] == ["load_balancer", "api-1"]
    points = timeline["probes"][0]["points"]
    assert sum(point["due"] for point in points) == sum(point["good"] for point in points) > 0
    assert [(each["health"], each["breaker"]) for each in timeline["states"]] == [
        ("healthy", "CLOSED"),
        ("degraded", "OPEN"),
        ("healthy", "CLOSED"),
    ]
    assert recorder.values["health states"] == ["healthy", "degraded", "healthy"]
    assert recorder.values["breaker states"] == ["CLOSED", "OPEN", "CLOSED"]
    assert recorder.metrics["availability"] == 1.0
    assert recorder.metrics["recovery_s"] > 0


@pytest.mark.parametrize("how", ["unhealthy", "refuses keys", "does not answer"])
def test_no_steady_state_and_nothing_is_injected(
    make: Make, scenery: Stage, injector: Injector, recorder: Recorder, how: str
) -> None:
    api = scenery.apis["api-1"]
    if how == "refuses keys":
        api.refuses_keys = True
    elif how == "does not answer":
        api.blocked.set()
    problem = "it says degraded" if how == "unhealthy" else None
    with pytest.raises(NoSteadyState), make(deviation=lambda: problem):
        pytest.fail("the block must not begin")
    assert injector.events == []
    assert scenery.dirty() == []
    api.blocked.clear()


def test_a_fault_that_is_not_proven_ends_it(make: Make, scenery: Stage, recorder: Recorder) -> None:
    with pytest.raises(FaultNotProven), make() as run, run.inject(NeverSeen(MLFLOW)):
        pytest.fail("the block must not begin")
    assert journal(recorder)["status"] == "failed"
    assert scenery.dirty() == []


def test_too_low_an_availability_takes_the_fault_off_at_once(
    make: Make, scenery: Stage, recorder: Recorder
) -> None:
    api = scenery.apis["api-1"]

    def carry_out() -> None:
        with make(away="MLflow was away") as run, run.inject(Refuse(MLFLOW)):
            api.blocked.set()
            assert until(lambda: scenery.dirty() == [], 5.0), "it is off while the test still waits"
            api.blocked.clear()
            raise AssertionError("what the test saw")

    with pytest.raises(AvailabilityTooLow) as raised:
        carry_out()
    text = str(raised.value)
    assert "ended at once, availability 0% while the fault was on, the target permits 50%" in text
    assert "/live of api-1 stopped answering while MLflow was away" in text
    assert "what the test saw" in text
    assert {fact[0] for fact in recorder.facts} == {"availability", "event_loop_blocked"}
    assert journal(recorder)["status"] == "aborted"
    assert journal(recorder)["deviated"] is True


def test_what_does_not_recover_in_time_fails(make: Make, scenery: Stage, recorder: Recorder) -> None:
    def carry_out() -> None:
        with make() as run:
            with run.inject(Refuse(MLFLOW)):
                pass
            run.recovers("healthy", lambda: False, component="mlflow", limit_s=0.3)

    with pytest.raises(AssertionError, match=r"not healthy 0\.3 s after the fault was undone"):
        carry_out()
    assert recorder.facts[0][:2] == ("not_recovered", "mlflow")
    assert journal(recorder)["deviated"] is True


def test_a_failing_assertion_passes_through_and_the_fault_is_off(
    make: Make, scenery: Stage, recorder: Recorder
) -> None:
    with pytest.raises(AssertionError, match="as seen"), make() as run, run.inject(Refuse(MLFLOW)):
        raise AssertionError("as seen")
    assert scenery.dirty() == []
    assert journal(recorder)["status"] == "failed"


def test_an_interrupted_experiment_leaves_its_journal(make: Make, scenery: Stage, recorder: Recorder) -> None:
    with pytest.raises(KeyboardInterrupt), make() as run, run.inject(Refuse(MLFLOW)):
        raise KeyboardInterrupt
    assert journal(recorder)["status"] == "interrupted"
    assert scenery.dirty() == []


def test_a_busy_target_is_left_alone(make: Make, scenery: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from hokusai_validation.store.locks import FileLock, TargetLock

    monkeypatch.setattr("hokusai_validation.chaos.experiment.LOCK_WAIT_S", 0.0)
    other = FileLock(TargetLock(scenery.target, "")._path, "busy")
    other.take("another run")
    try:
        with pytest.raises(TargetBusy, match="another run"), make():
            pytest.fail("the block must not begin")
    finally:
        other.leave()
