"""A test that hangs is ended: first by an exception in it, and where that does not help (a call in
C that never returns) by ending the process.

The exception is not an `Exception`, so that no `except Exception` in a test or library swallows it.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# For the `finally` blocks of the test that was ended: undoing faults takes time.
GRACE_S = 20.0


class TimeLimit(BaseException):
    """The test took longer than its limit."""


@contextmanager
def time_limit(
    seconds: float, what: str, hard: Callable[[str], None], grace_s: float = GRACE_S
) -> Iterator[None]:
    """Raise TimeLimit in the block after `seconds`; call `hard` (from another thread) when it still
    runs `grace_s` later. In a thread other than the main one, only the latter."""
    message = f"{what} did not end within its limit of {seconds:g} s"
    watchdog = threading.Timer(seconds + grace_s, hard, [f"{message}, nor when it was interrupted"])
    watchdog.daemon = True
    watchdog.start()
    if threading.current_thread() is not threading.main_thread():
        try:
            yield
        finally:
            watchdog.cancel()
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TimeLimit(f"{message}.")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        watchdog.cancel()
