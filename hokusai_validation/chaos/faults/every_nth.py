"""A link that loses some connections: every nth new one is reset."""

from dataclasses import dataclass

from hokusai_validation.chaos.client_probe import ProbeOutcome
from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.link import LinkFault
from hokusai_validation.resources.links import Toxic
from hokusai_validation.target import FaultKind


@dataclass(frozen=True)
class EveryNth(LinkFault):
    """Every `n`th new connection is reset."""

    n: int = 2
    kind = FaultKind.EVERY_NTH
    needs_answer = True

    def toxics(self) -> tuple[Toxic, ...]:
        return (Toxic("every_nth", {"n": self.n}),)

    def prove(self, reach: Reach) -> str:
        # Other clients are counted too, so our own share is not exact.
        probes = [self.ask(reach, limit_s=1.0).outcome for _ in range(self.n * 4)]
        reset, served = probes.count(ProbeOutcome.RESET), probes.count(ProbeOutcome.ANSWERED)
        if reset == 0 or (served == 0 and self.n > 1):
            raise self.not_proven(f"of {len(probes)} connections {reset} were reset and {served} served")
        return f"{self.edge}: of {len(probes)} connections {reset} were reset and {served} served"
