"""The journal of an experiment, in Chaos Toolkit's words, kept as `evidence["journal"]`. Pure.

Every time in `timeline` is in seconds since the experiment's start.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue, ValidationError

KEY = "journal"


class Part(BaseModel):
    """A part of the journal. What other versions wrote beside it is left out when it is read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FaultSpan(Part):
    """When a fault was on, and how it was seen to be; `off_s` None: it was orphaned."""

    fault: str
    on_s: float
    off_s: float | None = None
    seen: str = ""


class ProbePoint(Part):
    """Probes that were due in one step of time, how many of them were good, and the slowest `/live`
    that was answered, in ms."""

    t_s: float
    due: int
    good: int
    live_ms: float | None = None


class ProbeRoute(Part):
    """The probes of one route."""

    route: str
    points: tuple[ProbePoint, ...] = ()


class StateChange(Part):
    """What the instance said of itself from then on."""

    t_s: float
    health: str | None = None
    breaker: str | None = None


class Timeline(Part):
    """All that the picture in the report is drawn from."""

    duration_s: float
    faults: tuple[FaultSpan, ...] = ()
    probes: tuple[ProbeRoute, ...] = ()
    states: tuple[StateChange, ...] = ()


class SteadyState(Part):
    """Whether the hypothesis held: what was `seen` where not, `what` was reached and after how long
    where it held again."""

    steady_state_met: bool
    seen: str | None = None
    what: str | None = None
    recovery_s: float | None = None


class SteadyStates(Part):
    """Before the faults and after them; None where it was not looked at."""

    before: SteadyState | None = None
    after: SteadyState | None = None


class Action(Part):
    """What an activity was."""

    type: Literal["action"] = "action"
    name: str


class Activity(Part):
    """One thing that was done to the target, and what was seen of it."""

    activity: Action
    t_s: float
    status: Literal["failed", "succeeded"]
    output: str


class Journal(Part):
    """The whole of it. `status` is completed, failed, aborted or interrupted; `duration` is in seconds."""

    title: str
    description: str
    start: AwareDatetime
    end: AwareDatetime
    duration: float
    status: str
    deviated: bool
    steady_states: SteadyStates
    run: tuple[Activity, ...] = ()
    rollbacks: tuple[Activity, ...] = ()
    timeline: Timeline


def timeline_of(evidence: Mapping[str, JsonValue]) -> Timeline | None:
    """The time line in a row's evidence; None where there is none that can be read."""
    kept = evidence.get(KEY)
    try:
        return Timeline.model_validate(kept.get("timeline") if isinstance(kept, dict) else None)
    except ValidationError:
        return None
