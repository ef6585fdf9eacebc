"""A black hole: connections are accepted, and whatever is sent either way vanishes."""

from dataclasses import dataclass

from hokusai_validation.chaos.client_probe import ProbeOutcome, ProbeResult
from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.link import LinkFault
from hokusai_validation.resources.links import Toxic
from hokusai_validation.target import FaultKind

LEAST_SILENCE_S = 0.3


@dataclass(frozen=True)
class BlackHole(LinkFault):
    """Bytes vanish in both directions."""

    kind = FaultKind.BLACK_HOLE
    needs_answer = True

    def toxics(self) -> tuple[Toxic, ...]:
        return tuple(Toxic("timeout", {"timeout": 0}, stream) for stream in ("upstream", "downstream"))

    def prove(self, reach: Reach) -> str:
        before: ProbeResult = reach.notes[self]
        seen = self.ask(reach, limit_s=max(LEAST_SILENCE_S, before.answered_ms * 5 / 1000))
        if seen.outcome is not ProbeOutcome.SILENT:
            raise self.not_proven(seen)
        return f"{self.edge}: {seen}, without the fault {before}"
