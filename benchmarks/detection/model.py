"""What the benchmark is made of: a draw, its faults, what must come out, and what did."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from hokusai_validation.report import Cause

Duty = Literal["always", "share", "once", "one_instance"]
NOTHING_ABOVE = "P3"  # what a draw without an effect may give at most


class Frozen(BaseModel):
    """Base of everything below."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Expected(Frozen):
    """A cause that must be found: kind, place, and the instance where it holds for one of several.
    `names` is what tells two causes of one kind and place apart: title or remedy must have it.
    `priority` and `remedy` (a word that the remedy must name) are checked where they are given."""

    cause: Cause
    place: str
    instance: str | None = None
    names: str | None = None
    priority: str | None = None
    remedy: str | None = None

    def __str__(self) -> str:
        where = f"{self.place}/{self.instance}" if self.instance else self.place
        return " ".join(filter(None, (self.priority, f"{self.cause.value}@{where}")))


class Fault(Frozen):
    """One thing that is wrong. `changes` are the sandbox's (`hokusai_sandbox/changes`), `probes` the
    operations that must show it (`effect.py`). With duty `once` it is put on `start_s` after the
    functional phase began, for `length_s`."""

    id: str
    part: str
    kind: str
    duty: Duty = "always"
    changes: tuple[dict[str, JsonValue], ...]
    probes: tuple[str, ...] = ()
    expected: tuple[Expected, ...]
    outage: bool = False
    start_s: float = 5.0
    length_s: float = 5.0


class Draw(Frozen):
    """One run. `blind`: the target file has neither instances nor a header that names them; `busy`: two
    loops use up processor time beside it. `scenario` is one of the sandbox's own; a draw that expects
    nothing is a control."""

    id: str
    faults: tuple[Fault, ...] = ()
    scenario: str | None = None
    expects: tuple[Expected, ...] = ()
    blind: bool = False
    busy: bool = False
    seed: int | None = None
    case: str | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.scenario and self.faults and any(fault.duty != "once" for fault in self.faults):
            raise ValueError("beside a scenario only faults of duty `once` are put on")
        return self

    @property
    def expected(self) -> tuple[Expected, ...]:
        """All that must come out."""
        return (*self.expects, *(item for fault in self.faults for item in fault.expected))

    @property
    def control(self) -> bool:
        """Whether nothing may be found."""
        return not self.expected

    @property
    def size(self) -> int:
        """How many faults."""
        return max(len(self.faults), int(self.scenario is not None and not self.control))


class Said(Frozen):
    """One finding, as far as it is judged."""

    cause: str
    place: str
    edge: str | None = None
    instance: str | None = None
    priority: str
    title: str = ""
    remedy: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"{self.edge or self.place}" + (f"/{self.instance}" if self.instance else "")
        return f"{self.priority} {self.cause}@{where}"


class Effect(Frozen):
    """What the program beside the product saw of a fault: whether an operation left the range of the
    run without it, and the numbers."""

    fault: str
    seen: bool
    numbers: dict[str, str] = {}


class Outcome(Frozen):
    """How a draw came out. `right`: the first finding is the expected one (with several: every cause is
    found and the first finding is one of them; of a control: nothing was found)."""

    right: bool
    all_found: bool = False
    extra: tuple[str, ...] = ()
    wrong_p0: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    alternatives: int = 0
    why: str = ""


class Record(Frozen):
    """A JSON line of `draws.jsonl`: the draw, what was said, and how it came out."""

    draw: Draw
    said: tuple[Said, ...] = ()
    verdict: str = ""
    effects: tuple[Effect, ...] = ()
    outcome: Outcome
    seconds: float = 0.0
    error: str = ""

    @property
    def effective(self) -> bool:
        """Whether every fault was seen to have an effect (cases and controls are taken as they are)."""
        return all(effect.seen for effect in self.effects)
