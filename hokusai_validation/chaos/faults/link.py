"""What every fault on a link shares: toxics under a lease, and a probe to the link as its client."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from hokusai_validation.chaos.client_probe import ProbeOutcome, ProbeResult, probe, question_for, reachable
from hokusai_validation.chaos.faults.base import Fault, Reach
from hokusai_validation.errors import AgentFailed, FaultNotApplied
from hokusai_validation.resources.links import Toxic

BASELINE_LIMIT_S = 3.0


@dataclass(frozen=True)
class LinkFault(Fault):
    """A fault on the link of one edge (`api-1->mlflow`)."""

    edge: str

    leased_by: ClassVar[str] = "links"
    needs_answer: ClassVar[bool] = False  # whether the link's answer before the fault is measured

    @property
    def touches(self) -> tuple[str, ...]:
        return (f"link {self.edge}",)

    @property
    def component(self) -> str:
        return self.edge.partition("->")[0]

    @property
    def label(self) -> str:
        return f"{self.kind.value}:{self.edge}"

    @property
    def upstream(self) -> str:
        """What the link leads to."""
        return self.edge.partition("->")[2]

    @abstractmethod
    def toxics(self) -> tuple[Toxic, ...]:
        """What is put on the link."""

    def check(self, reach: Reach) -> None:
        reach.links.state(self.edge)

    def apply(self, reach: Reach) -> None:
        if self.needs_answer:
            reach.notes[self] = self.baseline(reach)
        for toxic in self._named(reach):
            reach.links.add(self.edge, toxic, lease=lease_of(reach))

    def undo(self, reach: Reach) -> None:
        names = {toxic.label for toxic in self._named(reach)}
        for name in names:
            reach.links.remove(self.edge, name)
        left = names & {toxic.label for toxic in reach.links.state(self.edge).toxics}
        if left:
            raise AgentFailed(f"The link on {self.edge} still has {', '.join(sorted(left))}.")

    def by_hand(self, reach: Reach) -> str:
        base = f"{reach.links.url}/proxies/{reach.links.proxy(self.edge)}/toxics"
        return " && ".join(f"curl -fsS -X DELETE {base}/{toxic.label}" for toxic in self._named(reach))

    def baseline(self, reach: Reach) -> ProbeResult:
        """The link's answer without the fault.

        Raises FaultNotApplied where there is none: then nothing could be told from it."""
        best: ProbeResult | None = None
        for _ in range(3):
            seen = self.ask(reach, limit_s=BASELINE_LIMIT_S)
            if seen.outcome is ProbeOutcome.ANSWERED and (
                best is None or seen.answered_ms < best.answered_ms
            ):
                best = seen
        if best is None:
            raise FaultNotApplied(
                f"The link on {self.edge} gave no answer before {self.kind.value} was put on: {seen};"
                " nothing was changed."
            )
        return best

    def ask(self, reach: Reach, *, limit_s: float, times: int = 1, quiet_s: float = 0.0) -> ProbeResult:
        """Visit the link as its client and ask something that is always answered."""
        question = question_for(reach.target.role(self.upstream)) * times
        return probe(self.address(reach), question, limit_s=limit_s, quiet_s=quiet_s)

    def try_connect(self, reach: Reach, *, limit_s: float) -> ProbeResult:
        """Only connect."""
        return probe(self.address(reach), limit_s=limit_s)

    def address(self, reach: Reach) -> tuple[str, int]:
        """Where the link listens, as we reach it."""
        return reachable(reach.links.state(self.edge).listen, reach.links.url)

    def _named(self, reach: Reach) -> tuple[Toxic, ...]:
        """The toxics under names that are this injection's own."""
        return tuple(
            Toxic(
                type=each.type,
                attributes=each.attributes,
                stream=each.stream,
                toxicity=each.toxicity,
                name=f"{self.kind.value}_{each.stream}_{reach.lease}",
            )
            for each in self.toxics()
        )


def lease_of(reach: Reach) -> str | None:
    """The lease to name: none for a server that has no leases."""
    return reach.lease if reach.links.has_leases else None
