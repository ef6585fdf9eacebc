"""Waking up at a point in time, to microseconds where the system can.

Event loops round their timers to milliseconds, which would be a good part of a fast answer's
latency. Linux has timers that are file descriptors and exact; Python 3.11 has no function for
them, so the C library is called. Elsewhere the loop's own timer has to do.
"""

import asyncio
import contextlib
import ctypes
import os
import time
from collections.abc import Callable

_CLOCK_MONOTONIC = 1  # what time.perf_counter() reads on Linux
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1


class _Time(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("it_interval", _Time), ("it_value", _Time))


class Pacer:
    """Calls `wake` once after each `arm`, in the loop's thread; `wake` arms it again or closes it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._loop = loop
        self._wake = wake
        self._handle: asyncio.TimerHandle | None = None
        self._fd = -1
        self._spec = _TimerSpec()
        with contextlib.suppress(AttributeError, OSError, NotImplementedError):
            library = ctypes.CDLL(None, use_errno=True)
            self._settime = library.timerfd_settime
            self._fd = library.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
            if self._fd >= 0:
                loop.add_reader(self._fd, wake)

    @property
    def exact(self) -> bool:
        """Whether it wakes to microseconds."""
        return self._fd >= 0

    def arm(self, at: float) -> None:
        """Wake at `at`, seconds of `time.perf_counter()`; at once where that is past."""
        if self._fd < 0:
            delay = max(0.0, at - time.perf_counter())
            self._handle = self._loop.call_later(delay, self._wake)
            return
        # Setting the timer also takes back its being readable, so it need not be read.
        self._set(max(at, 1e-9))

    def _set(self, at: float) -> None:
        seconds = int(at)
        self._spec.it_value.tv_sec = seconds
        self._spec.it_value.tv_nsec = int((at - seconds) * 1e9)
        self._settime(self._fd, _ABSOLUTE, ctypes.byref(self._spec), None)

    def close(self) -> None:
        """No more waking."""
        if self._handle is not None:
            self._handle.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
