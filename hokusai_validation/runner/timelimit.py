"""A test that hangs is ended: first by an exception in it, and where that does not help (a call in
C that never returns) by ending the process.

The exception is not an `Exception`, so that no `except Exception` in a test or library swallows it.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from hokusai_validation.catalogue import Entry
from hokusai_validation.target import Gateway, Limits, Target

# For the `finally` blocks of the test that was ended: undoing faults takes time.
GRACE_S = 20.0
# What is left for tearing down in any case: it is what puts the target right again.
TEARDOWN_LEAST_S = 20.0


class TimeLimit(BaseException):
    """The test took longer than its limit."""


def limit_s(entry: Entry, target: Target) -> float:
    """How long an attempt at a test may take, set-up, call and tear-down together: what the target's
    `limits.tests."NAME".limit_s` says, else the catalogue's limit, which is for the contract's
    time-outs and grows with longer ones."""
    own = target.limits.tests.get(entry.test, {})
    if "limit_s" in own:
        return own["limit_s"]
    contract, promised = Gateway(), target.gateway
    times = [
        promised.proxy_timeout_s / contract.proxy_timeout_s,
        promised.health_timeout_s / contract.health_timeout_s,
        target.limits.request_s / Limits().request_s,
    ]
    if entry.exclusive:
        times.append(promised.breaker_recovery_timeout_s / contract.breaker_recovery_timeout_s)
        times.append(target.limits.recovery_s / Limits().recovery_s)
    return entry.limit_s * max(1.0, *times)


@dataclass
class Allowance:
    """The seconds that one attempt may take, all its parts together."""

    limit_s: float
    left_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.left_s = self.limit_s

    @contextmanager
    def limited(self, what: str, hard: Callable[[str], None], *, least_s: float = 0.0) -> Iterator[None]:
        """What is left of it, and `least_s` at least, holds in the block.

        Raises what `time_limit` does."""
        began, ours_s = time.monotonic(), _ours.spent_s
        try:
            with time_limit(max(self.left_s, least_s, 0.001), what, hard, GRACE_S, of_s=self.limit_s):
                yield
        finally:
            self.left_s -= time.monotonic() - began - (_ours.spent_s - ours_s)


@dataclass
class _Ours:
    """What we spend on ourselves in this process, and the limit that stands still meanwhile."""

    spent_s: float = 0.0
    pause: Callable[[], Callable[[], None]] | None = None


_ours = _Ours()


@contextmanager
def not_counted() -> Iterator[None]:
    """An import or a start of our own in the block: it counts in no test's limit."""
    began = time.monotonic()
    resume = _ours.pause() if _ours.pause is not None else None
    try:
        yield
    finally:
        if resume is not None:
            resume()
        _ours.spent_s += time.monotonic() - began


@contextmanager
def time_limit(
    seconds: float,
    what: str,
    hard: Callable[[str], None],
    grace_s: float = GRACE_S,
    *,
    of_s: float | None = None,
) -> Iterator[None]:
    """Raise TimeLimit in the block after `seconds` (what is left of a limit `of_s`); call `hard` (from
    another thread) when it still runs `grace_s` later. In a thread other than the main one, only the
    latter."""
    message = f"{what} did not end within its limit of {seconds if of_s is None else of_s:g} s"
    in_main = threading.current_thread() is threading.main_thread()
    watchdog = _watchdog(seconds + grace_s, hard, message)

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TimeLimit(f"{message}.")

    def pause() -> Callable[[], None]:
        left_s = signal.getitimer(signal.ITIMER_REAL)[0]
        signal.setitimer(signal.ITIMER_REAL, 0)
        watchdog.cancel()

        def resume() -> None:
            nonlocal watchdog
            watchdog = _watchdog(left_s + grace_s, hard, message)
            if left_s:  # else it has struck already
                signal.setitimer(signal.ITIMER_REAL, left_s)

        return resume

    if not in_main:
        try:
            yield
        finally:
            watchdog.cancel()
        return
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    _ours.pause = pause
    try:
        yield
    finally:
        _ours.pause = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        watchdog.cancel()


def _watchdog(seconds: float, hard: Callable[[str], None], message: str) -> threading.Timer:
    timer = threading.Timer(seconds, hard, [f"{message}, nor when it was interrupted"])
    timer.daemon = True
    timer.start()
    return timer
