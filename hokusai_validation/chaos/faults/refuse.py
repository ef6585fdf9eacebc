"""A cut link: what is there breaks, what comes is refused, as with a dead process."""

from dataclasses import dataclass

from hokusai_validation.chaos.client_probe import ProbeOutcome
from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.link import LinkFault, lease_of
from hokusai_validation.errors import AgentFailed
from hokusai_validation.resources.links import Toxic
from hokusai_validation.target import FaultKind


@dataclass(frozen=True)
class Refuse(LinkFault):
    """Connections are refused."""

    kind = FaultKind.REFUSE

    def toxics(self) -> tuple[Toxic, ...]:
        return ()

    def apply(self, reach: Reach) -> None:
        reach.links.cut(self.edge, lease=lease_of(reach))

    def prove(self, reach: Reach) -> str:
        seen = self.try_connect(reach, limit_s=1.0)
        if seen.outcome is not ProbeOutcome.REFUSED:
            raise self.not_proven(seen)
        return f"{self.edge}: {seen}"

    def undo(self, reach: Reach) -> None:
        reach.links.restore(self.edge)
        if not reach.links.state(self.edge).enabled:
            raise AgentFailed(f"The link on {self.edge} is still cut.")

    def by_hand(self, reach: Reach) -> str:
        proxy = f"{reach.links.url}/proxies/{reach.links.proxy(self.edge)}"
        return f"""curl -fsS -X POST {proxy} -d '{{"enabled": true}}'"""
