"""Leases renewed by a thread, for as long as this process lives."""

import contextlib
import threading
from collections.abc import Callable
from typing import Protocol

from hokusai_validation.errors import AgentFailed

LEASE_S = 3.0


class Lessor(Protocol):
    """Whoever holds faults under a lease: the links, the control agent."""

    def hold(self, lease: str, seconds: float) -> None:
        """Make or renew it. Raises AgentFailed."""

    def release(self, lease: str) -> None:
        """End it. Raises AgentFailed."""


class Renewer:
    """Renews every lease three times in its length. `lost` is called once when one can't be."""

    def __init__(self, lease_s: float, *, lost: Callable[[str, str], None]) -> None:
        self._lease_s = lease_s
        self._lost = lost
        self._held: dict[str, list[Lessor]] = {}
        self._failed: set[str] = set()
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def hold(self, lease: str, lessor: Lessor) -> None:
        """Make a lease and renew it from now on.

        Raises AgentFailed when it can't be made."""
        lessor.hold(lease, self._lease_s)
        with self._guard:
            self._held.setdefault(lease, []).append(lessor)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fault leases", daemon=True)
                self._thread.start()

    def release(self, lease: str) -> None:
        """Renew it no longer, and end it. What can't be told runs out by itself."""
        with self._guard:
            lessors = self._held.pop(lease, [])
        for lessor in lessors:
            with contextlib.suppress(AgentFailed):
                lessor.release(lease)

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=self._lease_s)

    def _run(self) -> None:
        while not self._ended.wait(self._lease_s / 3):
            with self._guard:
                held = [(lease, lessor) for lease, lessors in self._held.items() for lessor in lessors]
            for lease, lessor in held:
                self._renew(lease, lessor)

    def _renew(self, lease: str, lessor: Lessor) -> None:
        try:
            lessor.hold(lease, self._lease_s)
        except AgentFailed as error:
            if lease not in self._failed:
                self._failed.add(lease)
                self._lost(lease, str(error))
