"""Whether a fault of ours is on in this process, or was a moment ago: what is seen meanwhile may be our
own doing, and is held against nobody."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

_guard = threading.Lock()
_on = 0
_labels: Counter[str] = Counter()
_taken_off_at: dict[str, float] = {}
_ended_at: float | None = None
_since: float | None = None
_past: list[tuple[float, float]] = []


@contextlib.contextmanager
def on(*labels: str) -> Iterator[None]:
    """Faults of ours are on in the block; `labels` are their kinds and places (`refuse:api-1->mlflow`),
    where they are not told by `put_on`."""
    global _on, _ended_at, _since
    with _guard:
        _on += 1
        _since = time.monotonic() if _since is None else _since
    for label in labels:
        put_on(label)
    try:
        yield
    finally:
        for label in labels:
            taken_off(label)
        with _guard:
            _on -= 1
            _ended_at = time.monotonic()
            if not _on and _since is not None:
                _past.append((_since, _ended_at))
                _since = None


def put_on(label: str) -> None:
    """A fault was put on."""
    with _guard:
        _labels[label] += 1


def taken_off(label: str) -> None:
    """It was taken off."""
    with _guard:
        _labels[label] -= 1
        _taken_off_at[label] = time.monotonic()
        if _labels[label] <= 0:
            del _labels[label]


def labels() -> tuple[str, ...]:
    """The faults that are on now, as observations name them."""
    with _guard:
        return tuple(sorted(_labels))


def any_on() -> bool:
    """Whether one is on now."""
    return _on > 0


def since_last_s() -> float:
    """How long ago the last one was taken off: 0 while one is on, infinite where there was none."""
    with _guard:
        if _on:
            return 0.0
        return float("inf") if _ended_at is None else time.monotonic() - _ended_at


def since_at_s(part: str) -> float:
    """The same of the faults at a part itself (`kill:mlflow`), those on the ways to it aside."""
    with _guard:
        if any(_at(label, part) for label in _labels):
            return 0.0
        ended = [at for label, at in _taken_off_at.items() if _at(label, part)]
    return time.monotonic() - max(ended) if ended else float("inf")


def _at(label: str, part: str) -> bool:
    return label.partition(":")[2] == part


def times() -> tuple[tuple[float, float], ...]:
    """When faults of ours were on in this process, by the monotonic clock, up to now where one is."""
    with _guard:
        return (*_past, *(() if _since is None else ((_since, time.monotonic()),)))
