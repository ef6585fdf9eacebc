"""A slow link: answers arrive later, by a time and a random part."""

from dataclasses import dataclass

from hokusai_validation.chaos.client_probe import ProbeOutcome, ProbeResult
from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.link import LinkFault
from hokusai_validation.resources.links import Toxic
from hokusai_validation.target import FaultKind

TIMER_MS = 2.0  # what timers and clocks may be early by


@dataclass(frozen=True)
class Latency(LinkFault):
    """Answers are `latency_ms` ± `jitter_ms` later."""

    latency_ms: int
    jitter_ms: int = 0
    kind = FaultKind.LATENCY
    needs_answer = True

    def toxics(self) -> tuple[Toxic, ...]:
        return (Toxic("latency", {"latency": self.latency_ms, "jitter": self.jitter_ms}),)

    def prove(self, reach: Reach) -> str:
        before: ProbeResult = reach.notes[self]
        seen = self.ask(
            reach, limit_s=before.answered_ms / 1000 + (self.latency_ms + self.jitter_ms) / 1000 + 3
        )
        added_ms = seen.answered_ms - seen.connected_ms
        if (
            seen.outcome is not ProbeOutcome.ANSWERED
            or added_ms < self.latency_ms - self.jitter_ms - TIMER_MS
        ):
            raise self.not_proven(f"{seen}, without the fault {before.answered_ms:.1f} ms")
        return f"{self.edge}: answered after {added_ms:.1f} ms, without the fault {before.answered_ms:.1f} ms"
