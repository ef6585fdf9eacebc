"""A narrow link: answers come at no more than a rate."""

import math
from dataclasses import dataclass

from hokusai_validation.chaos.client_probe import ProbeOutcome, ProbeResult
from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.link import LinkFault
from hokusai_validation.resources.links import Toxic
from hokusai_validation.target import FaultKind

VISIBLE_S = 0.2
MOST_QUESTIONS = 2000


@dataclass(frozen=True)
class Bandwidth(LinkFault):
    """Answers come at `rate_kb_s` × 1,000 bytes a second at most."""

    rate_kb_s: int
    kind = FaultKind.BANDWIDTH
    needs_answer = True

    def toxics(self) -> tuple[Toxic, ...]:
        return (Toxic("bandwidth", {"rate": self.rate_kb_s}),)

    def apply(self, reach: Reach) -> None:
        # As many questions on one connection as make the answers long enough to be measured.
        one = self.ask(reach, limit_s=3.0, quiet_s=0.1)
        wanted = self.rate_kb_s * 1000 * VISIBLE_S
        times = min(MOST_QUESTIONS, max(1, math.ceil(wanted / max(1, len(one.answer)))))
        before = self.ask(reach, limit_s=10.0, times=times, quiet_s=0.2)
        super().apply(reach)
        reach.notes[self] = (times, before)

    def prove(self, reach: Reach) -> str:
        times, before = reach.notes[self]
        assert isinstance(before, ProbeResult)
        least_s = len(before.answer) / (self.rate_kb_s * 1000) * 0.8
        seen = self.ask(reach, limit_s=least_s * 3 + 3, times=times, quiet_s=0.2 + least_s / 10)
        took_s = (seen.ended_ms - seen.connected_ms) / 1000
        if seen.outcome is not ProbeOutcome.ANSWERED or took_s < least_s:
            raise self.not_proven(f"{len(seen.answer)} bytes in {took_s:.3f} s")
        return (
            f"{self.edge}: {len(seen.answer)} bytes in {took_s:.2f} s,"
            f" without the fault {(before.ended_ms - before.connected_ms) / 1000:.2f} s"
        )
