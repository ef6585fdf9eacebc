"""Too little CPU: a process beside it that burns a share of one."""

from dataclasses import dataclass

from hokusai_validation.chaos import machine
from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.process import ProcessFault
from hokusai_validation.target import FaultKind

SEEN_WITHIN_S = 3.0


@dataclass(frozen=True)
class CpuBurn(ProcessFault):
    """A process beside it uses `share` (0–1) of one CPU."""

    share: float = 0.9
    kind = FaultKind.CPU

    def apply(self, reach: Reach) -> None:
        reach.notes[self] = machine.present()
        reach.control.burn(self.name, self.share, lease=reach.lease)

    def prove(self, reach: Reach) -> str:
        if not machine.is_here(reach.control.url):
            raise self.not_proven("the machine's processes can't be seen from here")
        found = machine.burns(reach.notes[self], self.share, SEEN_WITHIN_S)
        if found is None:
            raise self.not_proven(f"no new process uses {self.share:.0%} of a CPU")
        return f"beside {self.name}: process {found[0]} uses {found[1]:.0%} of a CPU"

    def undo(self, reach: Reach) -> None:
        reach.control.burn(self.name, 0)

    def by_hand(self, reach: Reach) -> str:
        return self.act_by_hand(reach, "cpu", '{"share": 0}')
