"""Too little memory: a limit close above what a process uses, or a stress_memory beside it."""

from dataclasses import dataclass

import psutil

from hokusai_validation.chaos import machine
from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.process import ProcessFault
from hokusai_validation.target import FaultKind

SEEN_WITHIN_S = 3.0


@dataclass(frozen=True)
class MemoryLimit(ProcessFault):
    """The process may use `margin_bytes` more than it does now."""

    margin_bytes: int
    kind = FaultKind.MEMORY

    def apply(self, reach: Reach) -> None:
        reach.control.limit_memory(self.name, self.margin_bytes, lease=reach.lease)

    def prove(self, reach: Reach) -> str:
        state = self.process(reach)
        if state.pid is None or not machine.is_here(reach.control.url):
            raise self.not_proven("its limit can't be read from here")
        try:
            limit = min(
                each
                for resource in (psutil.RLIMIT_AS, psutil.RLIMIT_DATA)
                for each in psutil.Process(state.pid).rlimit(resource)[:1]
                if each != psutil.RLIM_INFINITY
            )
        except (psutil.Error, ValueError):
            raise self.not_proven("the process has no limit") from None
        return f"{self.name}: process {state.pid} is limited to {limit} bytes"

    def undo(self, reach: Reach) -> None:
        reach.control.free_memory(self.name)

    def by_hand(self, reach: Reach) -> str:
        return self.act_by_hand(reach, "memory", '{"limit_bytes": null}')


@dataclass(frozen=True)
class MemoryBallast(ProcessFault):
    """A process beside it holds `size_bytes` of the machine's memory."""

    size_bytes: int
    kind = FaultKind.MEMORY

    def apply(self, reach: Reach) -> None:
        reach.notes[self] = machine.present()
        reach.control.stress_memory(self.name, self.size_bytes, lease=reach.lease)

    def prove(self, reach: Reach) -> str:
        if not machine.is_here(reach.control.url):
            raise self.not_proven("the machine's memory can't be seen from here")
        pid = machine.holds_memory(reach.notes[self], self.size_bytes, SEEN_WITHIN_S)
        if pid is None:
            raise self.not_proven(f"no process holds {self.size_bytes} bytes")
        return f"beside {self.name}: process {pid} holds {self.size_bytes} bytes"

    def undo(self, reach: Reach) -> None:
        reach.control.stress_memory(self.name, 0)

    def by_hand(self, reach: Reach) -> str:
        return self.act_by_hand(reach, "stress_memory", '{"bytes": 0}')
