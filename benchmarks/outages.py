"""Twenty outages of a running sandbox: four parts, each broken in five ways. Put on without a lease, so
that they outlast whoever put them on, and under names of their own, so that no test takes them off."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from hokusai_validation.resources.control import ControlClient
from hokusai_validation.resources.links import LinkClient, Toxic
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target

NAME = "outage"
SLOW_MS = 2000
DOWN_S = 100.0  # the agent's most is 120


class Way(StrEnum):
    """How a part is out."""

    DOWN = "down"  # its process is not there
    CLOSED = "closed"  # SYN dropped: connections are never accepted
    HANGING = "hanging"  # connections are accepted, and nobody answers
    RESETTING = "resetting"
    SLOW = "slow"  # every answer 2 s late


PARTS = ("postgres", "mlflow", "redis", "auth")
_TOXICS = {
    Way.CLOSED: (Toxic("connect_timeout", name=NAME),),
    Way.RESETTING: (Toxic("reset_peer", {"timeout": 0}, name=NAME),),
    Way.SLOW: (Toxic("latency", {"latency": SLOW_MS}, name=NAME),),
}


@dataclass(frozen=True)
class Outage:
    """A part, and how it is out. A process is stopped or ended; what a network does is done on every
    link that leads to the part."""

    part: str
    way: Way

    @property
    def name(self) -> str:
        """`postgres hanging`."""
        return f"{self.part} {self.way}"

    @contextlib.contextmanager
    def on(self, target: Target) -> Iterator[None]:
        """The part is out in the block."""
        links = LinkClient.from_target(target)
        control = ControlClient.from_target(target, Secrets(target))
        ended = threading.Event()
        keeper: threading.Thread | None = None
        try:
            if self.way is Way.DOWN:
                control.kill(self.part, down_s=DOWN_S + 20)
                keeper = threading.Thread(target=self._keep_down, args=(control, ended), daemon=True)
                keeper.start()
            elif self.way is Way.HANGING:
                control.pause(self.part)
            for edge in self._edges(links):
                for toxic in _TOXICS.get(self.way, ()):
                    links.add(edge, toxic)
            yield
        finally:
            ended.set()
            if keeper is not None:
                keeper.join()
                control.restart(self.part)
            if self.way is Way.HANGING:
                control.resume(self.part)
            for edge in self._edges(links):
                links.remove(edge, NAME)
            links.close()
            control.close()

    def _edges(self, links: LinkClient) -> list[str]:
        return [edge for edge in links.edges if edge.endswith(f"->{self.part}")]

    def _keep_down(self, control: ControlClient, ended: threading.Event) -> None:
        while not ended.wait(DOWN_S):
            control.kill(self.part, down_s=DOWN_S + 20)


OUTAGES = tuple(Outage(part, way) for part in PARTS for way in Way)
