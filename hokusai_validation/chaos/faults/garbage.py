"""A peer that talks nonsense: answers are replaced by bytes that are no protocol's."""

from dataclasses import dataclass

from hokusai_validation.chaos.client_probe import ProbeOutcome
from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.link import LinkFault
from hokusai_validation.resources.links import Toxic
from hokusai_validation.target import FaultKind


@dataclass(frozen=True)
class Garbage(LinkFault):
    """Answers are nonsense."""

    seed: int = 0
    kind = FaultKind.GARBAGE
    needs_answer = True

    def toxics(self) -> tuple[Toxic, ...]:
        return (Toxic("garbage", {"seed": self.seed}),)

    def prove(self, reach: Reach) -> str:
        seen = self.ask(reach, limit_s=3.0)
        if seen.outcome is not ProbeOutcome.ANSWERED or not seen.answer or min(seen.answer) < 128:
            raise self.not_proven(f"{seen}: {seen.answer[:20]!r}")
        return f"{self.edge}: answered {seen.answer[:8].hex()}…"
