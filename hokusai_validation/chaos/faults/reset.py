"""Broken connections: every one at once, or those that are there again and again."""

from dataclasses import dataclass

from hokusai_validation.chaos.client_probe import Canary, ProbeOutcome
from hokusai_validation.chaos.faults.base import Reach
from hokusai_validation.chaos.faults.link import LinkFault
from hokusai_validation.errors import FaultNotApplied
from hokusai_validation.resources.links import Toxic
from hokusai_validation.target import FaultKind


@dataclass(frozen=True)
class Reset(LinkFault):
    """Existing connections are reset; new ones are accepted and reset at once."""

    kind = FaultKind.RESET

    def toxics(self) -> tuple[Toxic, ...]:
        return (Toxic("reset_peer", {"timeout": 0}),)

    def prove(self, reach: Reach) -> str:
        seen = self.ask(reach, limit_s=1.0)
        if seen.outcome is not ProbeOutcome.RESET:
            raise self.not_proven(seen)
        return f"{self.edge}: {seen}"


@dataclass(frozen=True)
class ResetExisting(LinkFault):
    """Connections that are there are reset, again every `every_ms` (0: once). New ones work until
    then, so a client that connects again is served."""

    every_ms: int = 0
    kind = FaultKind.RESET

    def toxics(self) -> tuple[Toxic, ...]:
        return (Toxic("reset_existing", {"every": self.every_ms}),)

    def apply(self, reach: Reach) -> None:
        try:
            reach.notes[self] = Canary(self.address(reach))
        except OSError as error:
            raise FaultNotApplied(f"The link on {self.edge} can't be reached: {error}.") from None
        super().apply(reach)

    def prove(self, reach: Reach) -> str:
        canary: Canary = reach.notes[self]
        try:
            if not canary.reset_within(1.0 + self.every_ms / 1000):
                raise self.not_proven("a connection of ours was not reset")
        finally:
            canary.close()
        again = self.ask(reach, limit_s=1.0)
        if not self.every_ms and again.outcome is not ProbeOutcome.ANSWERED:
            raise self.not_proven(f"a new connection is not served: {again}")
        return f"{self.edge}: a connection of ours was reset, a new one: {again}"

    def undo(self, reach: Reach) -> None:
        canary = reach.notes.get(self)
        if canary is not None:
            canary.close()
        super().undo(reach)
