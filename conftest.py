"""What all tests share: one sandbox for a process that runs tests, started when a test first asks for it."""

import itertools
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression

from hokusai_sandbox.stack import Stack

# A shell starts its background jobs with Ctrl-C ignored, and every process of theirs inherits that:
# those that the tests interrupt would not notice.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Folders whose tests measure, or judge by a clock: they run beside no other test, marked `alone`. Of all
# others two may run at once: they compute, or start what they need and wait for states. Those that ask for
# the sandbox get one for each process that runs tests.
ALONE = {"chaos", "load", "whole"}
# Files of theirs that compute, and wait for what they started.
COMPUTING = {
    "test_histogram.py",
    "test_locks.py",
    "test_reused_answers.py",
    "test_schedule.py",
    "test_site.py",
    "test_verdict.py",
}
# Whose files take longest, the longest first: begun first, that none of them is left for the end, with the
# other processes idle.
LONG = (
    "ui",
    "suite",
    "endurance",
    "cli",
    "assets",
    "deploy",
    "diagnosis",
    "suite_plugin",
    "declared",
    "hostile",
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Pass over a file whose tests `-m` leaves out for their folder, whatever else they are marked as: to
    import all of them takes ten seconds."""
    asked = str(config.getoption("markexpr"))
    if collection_path.suffix != ".py" or not asked:
        return None
    try:
        wanted = Expression.compile(asked)
    except SyntaxError:  # pytest says so itself
        return None
    alone = _alone(collection_path)
    marks = sorted(set(re.findall(r"\w+", asked)) - {"alone", "and", "or", "not"})
    for held in itertools.product((True, False), repeat=len(marks)):
        marked = {**dict(zip(marks, held, strict=True)), "alone": alone}
        if wanted.evaluate(lambda name, /, marked=marked, **_: marked[name]):
            return None
    return True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark what must not share the machine with another test, before any are chosen by it; and put
    the long ones first, after they were shuffled."""
    for item in items:
        if _alone(item.path):
            item.add_marker("alone")
    yield
    items.sort(key=lambda item: LONG.index(_folder(item)) if _folder(item) in LONG else len(LONG))


def _alone(path: Path) -> bool:
    return path.parent.name in ALONE and path.name not in COMPUTING


def _folder(item: pytest.Item) -> str:
    return item.path.parent.name


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A sandbox that is up, its own target file at `.target_file`. It ends with the session, also
    when the session is killed. `HOKUSAI_TEST_SANDBOX_DIR` names one that is up already and is used
    instead: tests start at once then, and leave it up."""
    # Two processes can't share one: their tests take its parts away from each other.
    given = None if "PYTEST_XDIST_WORKER" in os.environ else os.environ.get("HOKUSAI_TEST_SANDBOX_DIR")
    running = Stack.running(Path(given)) if given else None
    if running is not None:
        yield running
        return
    with Stack.start(tmp_path_factory.mktemp("sandbox")) as stack:
        yield stack
