"""What one process of a suite learns of the target is known to all beside it at once: lines appended to a
file that each of them has open since before they parted. Times in them are of the machine's monotonic
clock."""

import contextlib
import fcntl
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable

from pydantic import JsonValue

Take = Callable[..., None]

_guard = threading.RLock()
_file: int | None = None
_read_bytes = 0
_takers: dict[str, Take] = {}


def taken_by(topic: str, take: Take) -> None:
    """What others tell of a topic is given to `take`, value by value."""
    _takers[topic] = take


def begin() -> None:
    """Processes that are forked from here on and this one tell each other. Without a file (a full disk) each
    knows what it saw itself."""
    global _file, _read_bytes
    with _guard:
        if _file is not None:
            os.close(_file)
        _file, _read_bytes = None, 0
        with contextlib.suppress(OSError), tempfile.TemporaryFile() as made:
            _file = os.dup(made.fileno())
            fcntl.fcntl(_file, fcntl.F_SETFL, fcntl.fcntl(_file, fcntl.F_GETFL) | os.O_APPEND)


def tell(topic: str, *values: JsonValue) -> None:
    """Let the others know."""
    if _file is not None:
        line = json.dumps([os.getpid(), topic, *values]).encode() + b"\n"
        with contextlib.suppress(OSError):
            os.write(_file, line)


def catch_up() -> None:
    """Take what others have told since."""
    global _read_bytes
    with _guard:
        if _file is None or os.fstat(_file).st_size <= _read_bytes:
            return
        fresh = os.pread(_file, os.fstat(_file).st_size - _read_bytes, _read_bytes)
        whole = fresh[: fresh.rfind(b"\n") + 1]
        _read_bytes += len(whole)
        for line in whole.splitlines():
            teller, topic, *values = json.loads(line)
            if teller != os.getpid() and topic in _takers:
                _takers[topic](*values)


class Lately:
    """What this process or one beside it saw a short while ago, by a key; it counts for `for_s` seconds."""

    def __init__(self, topic: str, for_s: float) -> None:
        self._topic, self.for_s = topic, for_s
        self._at_s: dict[str, float] = {}
        taken_by(topic, self._take)

    def note(self, key: str) -> None:
        """It was seen now."""
        self._know(key, time.monotonic())

    def forget(self, key: str) -> None:
        """It is not so any more."""
        if key in self._at_s:
            self._know(key, None)

    def holds(self, key: str) -> bool:
        """Whether it was seen so lately."""
        catch_up()
        return time.monotonic() - self._at_s.get(key, float("-inf")) <= self.for_s

    def _know(self, key: str, at_s: float | None) -> None:
        self._take(key, at_s)
        tell(self._topic, key, at_s)

    def _take(self, key: str, at_s: float | None) -> None:
        if at_s is None:
            self._at_s.pop(key, None)
        else:
            self._at_s[key] = at_s
