"""Whether this process stood still: stopped, starved of the processor, or asleep with its machine. What a
test saw meanwhile tells of us."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hokusai_validation.observation import Observation

TICK_S = 0.1
# A test that reads a clock goes wrong from here on; a busy machine alone does not come near.
STALL_S = 1.0


@dataclass(frozen=True)
class Stall:
    """From when to when, by the monotonic clock, and for how long, which is more where the machine slept."""

    began_s: float
    ended_s: float
    lasted_s: float


@dataclass(frozen=True)
class Clocks:
    """Of one reading, in seconds: `boot` goes on while the machine sleeps."""

    monotonic_s: float
    boot_s: float

    @classmethod
    def read(cls) -> "Clocks":
        """Now."""
        boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return cls(time.monotonic(), time.clock_gettime(boot))


class StallWatch:
    """A thread that wakes often, and notes when it could not."""

    def __init__(self, read: Callable[[], Clocks] = Clocks.read) -> None:
        self._read = read
        self._last = read()
        self._stalls: list[Stall] = []
        self._over = threading.Event()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="stall watch", daemon=True)

    def start(self) -> None:
        """Watch until the process ends, or `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._over.set()

    def since(self, began_s: float) -> tuple[Stall, ...]:
        """The stalls that reach behind a moment of the monotonic clock, the one that just ends included."""
        self.look()
        with self._guard:
            return tuple(each for each in self._stalls if each.ended_s > began_s)

    def look(self) -> None:
        """Note the time that has passed since the last look."""
        with self._guard:
            now, last = self._read(), self._last
            self._last = now
            slept_s = (now.boot_s - last.boot_s) - (now.monotonic_s - last.monotonic_s)
            late_s = max(now.monotonic_s - last.monotonic_s - TICK_S, 0.0) + max(slept_s, 0.0)
            if late_s >= STALL_S:
                self._stalls.append(Stall(last.monotonic_s, now.monotonic_s, late_s))

    def _run(self) -> None:
        while not self._over.wait(TICK_S):
            self.look()


def told(stalls: Sequence[Stall]) -> str:
    """A sentence about them."""
    longest_s = max(each.lasted_s for each in stalls)
    return f"The suite itself stood still for {longest_s:.1f} s meanwhile, so that nothing can be told of the target"


def untouched(seen: Sequence[Observation], stalls: Sequence[Stall]) -> tuple[Observation, ...]:
    """The observations without the bad ones that a stall may have made: those that it reached into, and
    what came after it."""
    first_s = min((each.began_s for each in stalls), default=float("inf"))
    return tuple(each for each in seen if each.ok or _ended_s(each) < first_s)


def _ended_s(seen: Observation) -> float:
    return seen.mono_start_s + (seen.ended_at - seen.started_at).total_seconds()
