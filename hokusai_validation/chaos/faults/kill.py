"""A killed process. Its supervisor starts it again, after a while or when asked to."""

from dataclasses import dataclass

from hokusai_validation.chaos.client_probe import ProbeOutcome, probe
from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.process import ProcessFault, address_of
from hokusai_validation.errors import AgentFailed
from hokusai_validation.target import FaultKind

SEEN_WITHIN_S = 2.0
STARTED_WITHIN_S = 15.0


@dataclass(frozen=True)
class Kill(ProcessFault):
    """SIGKILL; the supervisor starts it again `down_s` later (0: at once)."""

    down_s: float = 0.0
    kind = FaultKind.KILL

    def apply(self, reach: Reach) -> None:
        reach.notes[self] = self.process(reach)
        reach.control.kill(self.name, down_s=self.down_s)

    def prove(self, reach: Reach) -> str:
        before = reach.notes[self]
        gone, now = self.until(reach, lambda s: s.state == "down" or s.pid != before.pid, SEEN_WITHIN_S)
        if not gone:
            raise self.not_proven(f"process {now.pid} still runs")
        if now.state != "down":
            return f"{self.name}: process {before.pid} is gone, {now.pid} runs"
        address = address_of(now)
        if address is None:
            return f"{self.name}: process {before.pid} is gone"
        seen = probe(address, limit_s=1.0)
        if seen.outcome is not ProbeOutcome.REFUSED and self.process(reach).state == "down":
            raise self.not_proven(f"its address answers: {seen}")
        return f"{self.name}: process {before.pid} is gone, {seen.outcome} at its address"

    def undo(self, reach: Reach) -> None:
        if self.process(reach).state == "down":
            reach.control.restart(self.name)  # does not wait for the rest of `down_s`
        started, now = self.until(reach, lambda s: s.state != "down", STARTED_WITHIN_S)
        if not started:
            raise AgentFailed(f"Process {now.name} was not started again.")

    def by_hand(self, reach: Reach) -> str:
        return self.act_by_hand(reach, "restart")
