"""Fail points: rare inner failures that no fault on a link can bring about, switched from outside.

They are the sandbox's own, on an admin port of their own; a lease undoes them when whoever set
them is gone.
"""

import asyncio
from collections.abc import Mapping

FAIL_POINTS: Mapping[str, str] = {
    "psutil_missing": "memory and CPU can't be measured",
    "prometheus_missing": "no Prometheus client: /metrics answers JSON",
    "reset_fails": "resetting the breaker raises",
    "mlflow_check_breaks": "the check of MLflow raises an error of its own",
}
MAX_LEASE_S = 3600.0


class FailPointTripped(Exception):
    """What a fail point raises inside the gateway."""


class FailPoints:
    """Which fail points are on."""

    def __init__(self) -> None:
        self._on: set[str] = set()
        self._undo: dict[str, asyncio.TimerHandle] = {}

    def is_on(self, name: str) -> bool:
        """Whether a fail point is on."""
        return name in self._on

    def trip(self, name: str) -> None:
        """Raise FailPointTripped when the fail point is on."""
        if name in self._on:
            raise FailPointTripped(f"fail point {name}: {FAIL_POINTS[name]}")

    def state(self) -> dict[str, bool]:
        """Every fail point and whether it is on."""
        return {name: name in self._on for name in FAIL_POINTS}

    def set(self, name: str, on: bool, lease_s: float | None = None) -> None:
        """Switch one; with a lease it goes off by itself. Needs a running loop for a lease."""
        timer = self._undo.pop(name, None)
        if timer is not None:
            timer.cancel()
        if not on:
            self._on.discard(name)
            return
        self._on.add(name)
        if lease_s is not None:
            self._undo[name] = asyncio.get_running_loop().call_later(lease_s, self.set, name, False)

    def clear(self) -> None:
        """All off."""
        for name in FAIL_POINTS:
            self.set(name, False)
