"""Whether a fault of ours is on in this process, or was a moment ago: what is seen meanwhile may be our
own doing, and is held against nobody."""

import contextlib
import threading
import time
from collections.abc import Iterator

_guard = threading.Lock()
_on = 0
_ended_at: float | None = None


@contextlib.contextmanager
def on() -> Iterator[None]:
    """A fault of ours is on in the block."""
    global _on, _ended_at
    with _guard:
        _on += 1
    try:
        yield
    finally:
        with _guard:
            _on -= 1
            _ended_at = time.monotonic()


def any_on() -> bool:
    """Whether one is on now."""
    return _on > 0


def since_last_s() -> float:
    """How long ago the last one was taken off: 0 while one is on, infinite where there was none."""
    with _guard:
        if _on:
            return 0.0
        return float("inf") if _ended_at is None else time.monotonic() - _ended_at
