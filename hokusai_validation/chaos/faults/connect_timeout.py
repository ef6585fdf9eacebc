"""A closed security group: connecting gets no answer at all."""

from dataclasses import dataclass

from hokusai_validation.chaos.client_probe import ProbeOutcome, ProbeResult
from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.link import LinkFault
from hokusai_validation.resources.links import Toxic
from hokusai_validation.target import FaultKind

# Before the first repeated SYN (1 s); a connection on this way takes far less.
LEAST_S = 0.5


@dataclass(frozen=True)
class ConnectTimeout(LinkFault):
    """New connections wait for ever; what is established goes on."""

    kind = FaultKind.CONNECT_TIMEOUT
    needs_answer = True

    def toxics(self) -> tuple[Toxic, ...]:
        return (Toxic("connect_timeout"),)

    def prove(self, reach: Reach) -> str:
        before: ProbeResult = reach.notes[self]
        seen = self.try_connect(reach, limit_s=max(LEAST_S, before.connected_ms * 5 / 1000))
        if seen.outcome is not ProbeOutcome.CONNECT_TIMED_OUT:
            raise self.not_proven(seen)
        return f"{self.edge}: {seen}, without the fault connected after {before.connected_ms:.1f} ms"
