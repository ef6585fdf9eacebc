"""The journal of an experiment, in Chaos Toolkit's words, kept as `evidence["journal"]`.

Beside those (`title`, `steady_states`, `run`, `rollbacks`, `status`, `deviated`), `timeline` has what
the picture in the report is drawn from; every time in it is in seconds since the experiment's start:

- `duration_s`;
- `faults`: `{fault, on_s, off_s, seen}`, when each was on (`off_s` None: it was orphaned);
- `probes`: for each route its `points`, `{t_s, due, good, live_ms}`: probes that were due in a step
  of time and how many of them were good; `live_ms` is the slowest `/live` that was answered;
- `states`: `{t_s, health, breaker}`, what the instance said of itself from then on.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hokusai_validation.chaos.injection import Event
from hokusai_validation.chaos.probe import Shot
from hokusai_validation.chaos.watch import Seen

MOST_POINTS = 120


@dataclass
class Journal:
    """What happened, as it happens. Times are `time.monotonic()`."""

    title: str
    description: str
    started: float = field(default_factory=time.monotonic)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: str = "completed"  # or failed, aborted, interrupted
    deviated: bool = False
    steady_before: dict[str, Any] | None = None
    steady_after: dict[str, Any] | None = None
    events: list[Event] = field(default_factory=list)

    def as_json(self, shots: Sequence[Shot], seen: Sequence[Seen]) -> dict[str, Any]:
        """The whole of it."""
        duration_s = time.monotonic() - self.started
        return {
            "title": self.title,
            "description": self.description,
            "start": self.started_at.isoformat(),
            "end": datetime.now(UTC).isoformat(),
            "duration": round(duration_s, 3),
            "status": self.status,
            "deviated": self.deviated,
            "steady_states": {"before": self.steady_before, "after": self.steady_after},
            "run": [self._activity(event, "action") for event in self.events if event.what != "rolled back"],
            "rollbacks": [
                self._activity(event, "action")
                for event in self.events
                if event.what in ("rolled back", "orphaned")
            ],
            "timeline": {
                "duration_s": round(duration_s, 3),
                "faults": self._faults(),
                "probes": self._probes(shots, duration_s),
                "states": [
                    {"t_s": self._since(each.at), "health": each.health, "breaker": each.breaker}
                    for each in seen
                ],
            },
        }

    def _since(self, moment: float) -> float:
        return round(max(0.0, moment - self.started), 3)

    def _activity(self, event: Event, kind: str) -> dict[str, Any]:
        return {
            "activity": {"type": kind, "name": f"{event.what}: {event.fault}"},
            "t_s": self._since(event.at),
            "status": "failed" if event.what in ("orphaned", "lease lost") else "succeeded",
            "output": event.seen,
        }

    def _faults(self) -> list[dict[str, Any]]:
        on: dict[str, dict[str, Any]] = {}
        done: list[dict[str, Any]] = []
        for event in self.events:
            if event.what == "applied":
                on[event.fault] = {
                    "fault": event.fault,
                    "on_s": self._since(event.at),
                    "off_s": None,
                    "seen": "",
                }
                done.append(on[event.fault])
            elif event.what == "proven" and event.fault in on:
                on[event.fault]["seen"] = event.seen
            elif event.what == "rolled back" and event.fault in on:
                on.pop(event.fault)["off_s"] = self._since(event.at)
        return done

    def _probes(self, shots: Sequence[Shot], duration_s: float) -> list[dict[str, Any]]:
        step_s = max(0.2, duration_s / MOST_POINTS)
        routes: dict[str, dict[int, list[Shot]]] = {}
        for shot in shots:
            steps = routes.setdefault(shot.route, {})
            steps.setdefault(int(self._since(shot.due_at) / step_s), []).append(shot)
        return [
            {
                "route": route,
                "points": [
                    {
                        "t_s": round(step * step_s, 3),
                        "due": len(held),
                        "good": sum(shot.good for shot in held),
                        "live_ms": max(
                            (round(s.live_ms, 1) for s in held if s.live_ms is not None), default=None
                        ),
                    }
                    for step, held in sorted(steps.items())
                ],
            }
            for route, steps in routes.items()
        ]
