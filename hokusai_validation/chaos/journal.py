"""Keeping the journal of an experiment, as it happens."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hokusai_validation.chaos.injection import Event
from hokusai_validation.chaos.probe import Shot
from hokusai_validation.chaos.watch import Seen
from hokusai_validation.journal import (
    Action,
    Activity,
    FaultSpan,
    Journal,
    ProbePoint,
    ProbeRoute,
    StateChange,
    SteadyState,
    SteadyStates,
    Timeline,
)

MOST_POINTS = 120


@dataclass
class JournalKeeper:
    """What happened so far. Times are `time.monotonic()`."""

    title: str
    description: str
    started: float = field(default_factory=time.monotonic)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: str = "completed"  # or failed, aborted, interrupted
    deviated: bool = False
    steady_before: SteadyState | None = None
    steady_after: SteadyState | None = None
    events: list[Event] = field(default_factory=list)

    def finished(self, shots: Sequence[Shot], seen: Sequence[Seen]) -> Journal:
        """The whole of it."""
        duration_s = time.monotonic() - self.started
        return Journal(
            title=self.title,
            description=self.description,
            start=self.started_at,
            end=datetime.now(UTC),
            duration=round(duration_s, 3),
            status=self.status,
            deviated=self.deviated,
            steady_states=SteadyStates(before=self.steady_before, after=self.steady_after),
            run=tuple(self._activity(event) for event in self.events if event.what != "rolled back"),
            rollbacks=tuple(
                self._activity(event) for event in self.events if event.what in ("rolled back", "orphaned")
            ),
            timeline=Timeline(
                duration_s=round(duration_s, 3),
                faults=tuple(self._faults()),
                probes=tuple(self._probes(shots, duration_s)),
                states=tuple(
                    StateChange(t_s=self._since(each.at), health=each.health, breaker=each.breaker)
                    for each in seen
                ),
            ),
        )

    def _since(self, moment: float) -> float:
        return round(max(0.0, moment - self.started), 3)

    def _activity(self, event: Event) -> Activity:
        return Activity(
            activity=Action(name=f"{event.what}: {event.fault}"),
            t_s=self._since(event.at),
            status="failed" if event.what in ("orphaned", "lease lost") else "succeeded",
            output=event.seen,
        )

    def _faults(self) -> list[FaultSpan]:
        on: dict[str, int] = {}
        done: list[FaultSpan] = []
        for event in self.events:
            if event.what == "applied":
                on[event.fault] = len(done)
                done.append(FaultSpan(fault=event.fault, on_s=self._since(event.at)))
            elif event.what == "proven" and event.fault in on:
                place = on[event.fault]
                done[place] = done[place].model_copy(update={"seen": event.seen})
            elif event.what == "rolled back" and event.fault in on:
                place = on.pop(event.fault)
                done[place] = done[place].model_copy(update={"off_s": self._since(event.at)})
        return done

    def _probes(self, shots: Sequence[Shot], duration_s: float) -> Iterator[ProbeRoute]:
        step_s = max(0.2, duration_s / MOST_POINTS)
        routes: dict[str, dict[int, list[Shot]]] = {}
        for shot in shots:
            steps = routes.setdefault(shot.route, {})
            steps.setdefault(int(self._since(shot.due_at) / step_s), []).append(shot)
        for route, steps in routes.items():
            points = (
                ProbePoint(
                    t_s=round(step * step_s, 3),
                    due=len(held),
                    good=sum(shot.good for shot in held),
                    live_ms=max((round(s.live_ms, 1) for s in held if s.live_ms is not None), default=None),
                )
                for step, held in sorted(steps.items())
            )
            yield ProbeRoute(route=route, points=tuple(points))
