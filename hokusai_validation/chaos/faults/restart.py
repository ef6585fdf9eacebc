"""A process ended in good order and started again, as a deployment does."""

from dataclasses import dataclass

from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.kill import STARTED_WITHIN_S
from hokusai_validation.chaos.faults.process import ProcessFault
from hokusai_validation.errors import AgentFailed
from hokusai_validation.target import FaultKind


@dataclass(frozen=True)
class Restart(ProcessFault):
    """Ended and started again."""

    kind = FaultKind.RESTART

    def apply(self, reach: Reach) -> None:
        reach.notes[self] = self.process(reach)
        reach.control.restart(self.name)

    def prove(self, reach: Reach) -> str:
        before = reach.notes[self]
        changed, now = self.until(reach, lambda s: s.pid != before.pid, STARTED_WITHIN_S)
        if not changed:
            raise self.not_proven(f"process {now.pid} still runs")
        return f"{self.name}: process {before.pid} is gone, now {now.pid or 'none yet'}"

    def undo(self, reach: Reach) -> None:
        started, now = self.until(reach, lambda s: s.state != "down", STARTED_WITHIN_S)
        if not started:
            raise AgentFailed(f"Process {now.name} was not started again.")

    def by_hand(self, reach: Reach) -> str:
        return self.act_by_hand(reach, "restart")
