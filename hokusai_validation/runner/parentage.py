"""A process of ours ends when whoever started it is gone, whichever way that went."""

import os
import signal
import sys
import threading
from types import FrameType

from hokusai_validation.descent import die_with_parent

PARENT_VARIABLE = "HOKUSAI_PARENT_PID"
CLEAN_UP_S = 5.0


def end_with_parent() -> None:
    """Take SIGTERM as Ctrl-C, so that faults and models are undone, with a hard end after
    `CLEAN_UP_S`; and on Linux, where a parent is named in the environment, be sent it when that dies."""
    signal.signal(signal.SIGTERM, _interrupt)
    parent = os.environ.pop(PARENT_VARIABLE, None)
    if parent is not None:
        end_with(int(parent))


def end_with(parent: int) -> None:
    """On Linux, be sent SIGTERM when the parent process dies (what was asked before a fork does not hold)."""
    if not sys.platform.startswith("linux"):
        return
    die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:  # it died before we could ask
        os._exit(3)


def _interrupt(number: int, frame: FrameType | None) -> None:
    hard = threading.Timer(CLEAN_UP_S, os._exit, [3])
    hard.daemon = True
    hard.start()
    raise KeyboardInterrupt
