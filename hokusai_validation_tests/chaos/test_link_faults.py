"""Each fault on a link: proven from the upstream's side on real sockets, and off again."""

from dataclasses import dataclass

import pytest

from hokusai_validation.chaos.client_probe import ProbeOutcome, probe, question_for
from hokusai_validation.chaos.faults.bandwidth import Bandwidth
from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.black_hole import BlackHole
from hokusai_validation.chaos.faults.connect_timeout import ConnectTimeout
from hokusai_validation.chaos.faults.every_nth import EveryNth
from hokusai_validation.chaos.faults.garbage import Garbage
from hokusai_validation.chaos.faults.half_open import HalfOpen
from hokusai_validation.chaos.faults.latency import Latency
from hokusai_validation.chaos.faults.link import LinkFault
from hokusai_validation.chaos.faults.refuse import Refuse
from hokusai_validation.chaos.faults.reset import Reset, ResetExisting
from hokusai_validation.chaos.injection import Injector
from hokusai_validation.errors import FaultNotApplied, FaultNotProven
from hokusai_validation.resources.links import Toxic
from hokusai_validation.target import Target
from hokusai_validation.topology import Role
from hokusai_validation_tests.chaos.stage import LINK_KINDS, Stage

MLFLOW, REDIS, POSTGRES = (f"api-1->{name}" for name in ("mlflow", "redis", "postgres"))

EVERY_FAULT: tuple[tuple[LinkFault, str], ...] = (
    (Refuse(MLFLOW), "connection refused"),
    (Reset(REDIS), "connection reset"),
    (ResetExisting(POSTGRES), "a connection of ours was reset, a new one: answered"),
    (ResetExisting(REDIS, every_ms=100), "a connection of ours was reset"),
    (Latency(MLFLOW, latency_ms=100), "without the fault"),
    (Latency(REDIS, latency_ms=60, jitter_ms=40), "without the fault"),
    (Bandwidth(MLFLOW, rate_kb_s=20), "bytes in 0."),
    (Bandwidth(REDIS, rate_kb_s=20), "bytes in 0."),
    (BlackHole(POSTGRES), "connected, but no answer in time"),
    (HalfOpen(REDIS), "connected, but no answer in time"),
    (ConnectTimeout(MLFLOW), "no connection in time"),
    (EveryNth(MLFLOW, n=3), "were reset"),
    (Garbage(REDIS), "answered"),
)


@pytest.mark.parametrize(("fault", "says"), EVERY_FAULT, ids=lambda each: str(each)[:60])
def test_it_is_put_on_proven_and_taken_off(
    injector: Injector, scenery: Stage, fault: LinkFault, says: str
) -> None:
    with injector.fault(fault) as injection:
        assert scenery.dirty() == [fault.edge.replace("->", ".")]
        assert says in injection.proofs[fault]
        assert injection.proofs[fault].startswith(fault.edge)
    assert scenery.dirty() == []
    assert injection.rolled_back_at is not None
    assert [event.what for event in injector.events] == ["applied", "proven", "rolled back"]
    reach = injection.reach
    seen = probe(fault.address(reach), question_for(Target(name="stub").role(fault.upstream)), limit_s=2)
    assert seen.outcome is ProbeOutcome.ANSWERED


def test_every_kind_of_link_fault_is_tried() -> None:
    assert {fault.kind for fault, _ in EVERY_FAULT} == set(LINK_KINDS)


@pytest.mark.parametrize("fault", [each for each, _ in EVERY_FAULT], ids=str)
def test_the_command_by_hand_takes_it_off(injector: Injector, scenery: Stage, fault: LinkFault) -> None:
    """What the command says, sent without a shell."""
    with injector.fault(fault, prove=False) as injection:
        for command in fault.by_hand(injection.reach).split(" && "):
            words = command.replace("'", "").split(" -X ")[1].split(" ", 1)
            method, rest = words[0], words[1].split(" -d ")
            path = rest[0].removeprefix(scenery.program.url)
            body = {"enabled": True} if len(rest) > 1 else None
            assert scenery.program.call(method, path, body).status < 300
        assert scenery.dirty() == []


@dataclass(frozen=True)
class Feeble(Latency):
    """Says that it makes the link slow, and does nothing."""

    def toxics(self) -> tuple[Toxic, ...]:
        return (Toxic("latency", {"latency": 0}),)


@dataclass(frozen=True)
class NeverSeen(Refuse):
    """Says that it cuts the link, and does nothing."""

    def apply(self, reach: Reach) -> None:
        pass


@pytest.mark.parametrize("fault", [Feeble(MLFLOW, latency_ms=100), NeverSeen(MLFLOW)], ids=["slow", "cut"])
def test_a_fault_without_effect_is_not_proven_and_is_undone(
    injector: Injector, scenery: Stage, fault: LinkFault
) -> None:
    with pytest.raises(FaultNotProven, match=r"was put on, but was not seen"), injector.fault(fault):
        pytest.fail("the block must not begin")
    assert scenery.dirty() == []


def test_a_link_that_gives_no_answer_before_is_not_touched(injector: Injector, scenery: Stage) -> None:
    scenery.servers["mlflow"].stop()
    with pytest.raises(FaultNotApplied, match="gave no answer before"), injector.fault(BlackHole(MLFLOW)):
        pytest.fail("the block must not begin")
    assert scenery.dirty() == []


def test_an_edge_without_a_link_is_named(injector: Injector) -> None:
    with pytest.raises(FaultNotApplied, match="api-1->nowhere"), injector.fault(Refuse("api-1->nowhere")):
        pytest.fail("the block must not begin")


def test_several_faults_are_proven_together_and_undone_one_by_one(injector: Injector, scenery: Stage) -> None:
    faults = [Refuse(MLFLOW), BlackHole(REDIS), Latency(POSTGRES, latency_ms=30)]
    with injector.fault(*faults) as injection:
        assert set(injection.proofs) == set(faults)
        injection.undo(faults[1])
        assert scenery.dirty() == ["api-1.mlflow", "api-1.postgres"]
        assert injection.active == (faults[0], faults[2])
        injection.undo()
        assert scenery.dirty() == []
        injection.undo()


def test_two_faults_of_one_kind_on_one_link_do_not_take_each_other_off(
    injector: Injector, scenery: Stage
) -> None:
    with injector.fault(Latency(MLFLOW, latency_ms=20)):
        with injector.fault(Latency(MLFLOW, latency_ms=40)) as inner:
            added = probe(Refuse(MLFLOW).address(inner.reach), question_for(Role.TRACKING_SERVER), limit_s=2)
            assert added.answered_ms >= 58
        assert scenery.dirty() == ["api-1.mlflow"]
    assert scenery.dirty() == []
