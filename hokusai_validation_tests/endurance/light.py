"""Light targets: a stub gateway and nothing else, and the processes of runs against them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from hokusai_validation_tests.suite_beyond.stub import GOOD_KEY

KEY_VARIABLE = "LIGHT_KEY"
MARK = "HOKUSAI_RESULTS"  # in the environment of a run and of everything that it starts
ENVIRONMENT = {KEY_VARIABLE: GOOD_KEY}


def target_file(folder: Path, name: str, url: str, more: str = "") -> Path:
    """The file `NAME.toml` of a target that has endpoints and a key."""
    path = folder / f"{name}.toml"
    path.write_text(
        f"""name = "{name}"
[endpoints]
registry = "{url}"
[keys]
good = {{ env = "{KEY_VARIABLE}" }}
[limits]
request_s = 2.0
{more}""",
        encoding="utf-8",
    )
    return path


def started_for(base: Path) -> list[psutil.Process]:
    """Every process alive whose run keeps its results under `base`, whoever its parent is by now."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get(MARK) == str(base / "results")
            if mine and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether a condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
