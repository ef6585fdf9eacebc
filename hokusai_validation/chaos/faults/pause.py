"""A paused process: connections are accepted by the kernel and nobody answers."""

from dataclasses import dataclass

from hokusai_validation.chaos.client_probe import ProbeOutcome, probe, question_for
from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.process import ProcessFault, address_of
from hokusai_validation.errors import AgentFailed
from hokusai_validation.target import FaultKind

SILENCE_S = 0.4


@dataclass(frozen=True)
class Pause(ProcessFault):
    """SIGSTOP until it is undone."""

    kind = FaultKind.PAUSE

    def apply(self, reach: Reach) -> None:
        reach.control.pause(self.name, lease=reach.lease)

    def prove(self, reach: Reach) -> str:
        paused, state = self.until(reach, lambda s: s.state == "paused", 1.0)
        if not paused:
            raise self.not_proven(f"it is {state.state}")
        address = address_of(state)
        if address is None:
            return f"{self.name}: process {state.pid} is stopped"
        seen = probe(address, question_for(reach.target.role(state.component)), limit_s=SILENCE_S)
        if seen.outcome not in (ProbeOutcome.SILENT, ProbeOutcome.CONNECT_TIMED_OUT):
            raise self.not_proven(seen)
        return f"{self.name}: process {state.pid} is stopped, {seen}"

    def undo(self, reach: Reach) -> None:
        reach.control.resume(self.name)
        going, state = self.until(reach, lambda s: s.state != "paused", 1.0)
        if not going:
            raise AgentFailed(f"Process {state.name} is still stopped.")

    def by_hand(self, reach: Reach) -> str:
        return self.act_by_hand(reach, "resume")
