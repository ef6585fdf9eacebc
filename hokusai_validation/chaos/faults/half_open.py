"""A host that is gone without a word: the client's connections stay open and silent, the server's
side is broken."""

from dataclasses import dataclass

from hokusai_validation.chaos.client_probe import ProbeOutcome, ProbeResult
from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.black_hole import LEAST_SILENCE_S
from hokusai_validation.chaos.faults.link import LinkFault
from hokusai_validation.resources.links import Toxic
from hokusai_validation.target import FaultKind


@dataclass(frozen=True)
class HalfOpen(LinkFault):
    """The client's side lives, the server's is gone."""

    kind = FaultKind.HALF_OPEN
    needs_answer = True

    def toxics(self) -> tuple[Toxic, ...]:
        return (Toxic("half_open", stream="upstream"),)

    def prove(self, reach: Reach) -> str:
        before: ProbeResult = reach.notes[self]
        seen = self.ask(reach, limit_s=max(LEAST_SILENCE_S, before.answered_ms * 5 / 1000))
        if seen.outcome is not ProbeOutcome.SILENT:
            raise self.not_proven(seen)
        return f"{self.edge}: {seen}, without the fault {before}"
