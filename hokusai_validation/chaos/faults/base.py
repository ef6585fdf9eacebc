"""What a fault is: put on, proven, taken off, and what it may touch."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from hokusai_validation.errors import FaultNotApplied, FaultNotProven
from hokusai_validation.target import FaultKind, Target

if TYPE_CHECKING:
    from hokusai_validation.resources.aws.client import Aws
    from hokusai_validation.resources.control import ControlClient
    from hokusai_validation.resources.links import LinkClient


@dataclass
class Reach:
    """What a fault works through. `lease` is the id under which it must be put on; `notes` keeps
    what one fault saw before it was on, by the fault."""

    target: Target
    lease: str
    make_links: "Callable[[], LinkClient]"
    make_control: "Callable[[], ControlClient]"
    make_aws: "Callable[[], Aws]"
    notes: "dict[Fault, Any]" = field(default_factory=dict)

    @property
    def links(self) -> "LinkClient":
        """The target's links.

        Raises FaultNotApplied where it has none."""
        if self.target.links is None:
            raise FaultNotApplied(f"Target '{self.target.name}' has no links to put a fault on.")
        return self.make_links()

    @property
    def control(self) -> "ControlClient":
        """The target's control agent.

        Raises FaultNotApplied where it has none."""
        if self.target.control is None:
            raise FaultNotApplied(f"Target '{self.target.name}' has no control agent.")
        return self.make_control()

    @property
    def aws(self) -> "Aws":
        """The target's AWS account.

        Raises FaultNotApplied where it has none."""
        if self.target.aws is None:
            raise FaultNotApplied(f"Target '{self.target.name}' has no AWS.")
        return self.make_aws()


class Fault(ABC):
    """One kind of fault, and where. Subclasses are frozen dataclasses, one a file."""

    kind: ClassVar[FaultKind]
    leased_by: ClassVar[str] = ""  # whose lease undoes it: `links`, `control`, or nobody's
    needs_watchdog: ClassVar[bool] = False  # it would stay on when this process is killed

    @property
    @abstractmethod
    def touches(self) -> tuple[str, ...]:
        """What it changes, in words: `link api-1->mlflow`, `process mlflow`, `ECS service …`."""

    @property
    @abstractmethod
    def component(self) -> str:
        """The instance or component that suffers; the blast radius is judged by it."""

    @property
    def label(self) -> str:
        """Its kind and where it is, as an observation names it: `kill:mlflow`, `refuse:api-1->mlflow`."""
        return f"{self.kind.value}:{self.component}"

    def check(self, reach: Reach) -> None:  # noqa: B027 - most need no more than the target file
        """Whether what it touches is there; called before anything is put on.

        Raises FaultNotApplied or AgentFailed."""

    @abstractmethod
    def apply(self, reach: Reach) -> None:
        """Put it on.

        Raises FaultNotApplied or AgentFailed."""

    @abstractmethod
    def prove(self, reach: Reach) -> str:
        """What was seen of it from the side of the link's client, in one sentence.

        Raises FaultNotProven."""

    @abstractmethod
    def undo(self, reach: Reach) -> None:
        """Take it off and see that it is off. May be repeated.

        Raises AgentFailed, or FaultOrphaned's cause in words of its own."""

    @abstractmethod
    def by_hand(self, reach: Reach) -> str:
        """The command that a person runs to take it off."""

    def __str__(self) -> str:
        return f"{self.kind.value} on {', '.join(self.touches)}"

    def not_proven(self, seen: object) -> FaultNotProven:
        """The error of a fault whose effect was not seen."""
        return FaultNotProven(f"{str(self)[0].upper()}{str(self)[1:]} was put on, but was not seen: {seen}.")
