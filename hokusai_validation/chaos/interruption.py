"""Signals while faults are on: SIGTERM unwinds as Ctrl-C does, and taking a fault off is not cut short."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


def in_main_thread() -> bool:
    """Where Python runs signal handlers."""
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def sigterm_is_ctrl_c() -> Iterator[None]:
    """SIGTERM unwinds the stack, as Ctrl-C does, where nobody else handles it."""
    if not in_main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals wait until the block is done: taking a fault off must not be cut short. It is bounded
    in time, so nobody waits long."""
    if not in_main_thread():
        yield
        return
    waiting: list[int] = []
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        handler = signal.getsignal(number)
        if callable(handler):
            before[number] = handler
            signal.signal(number, lambda number, frame: waiting.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for came in dict.fromkeys(waiting):
            signal.raise_signal(came)
