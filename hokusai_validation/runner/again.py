"""The second attempts, behind all tests: of failures that are alike one first, and where that ends well the
others. What only reads runs side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from hokusai_validation.resources import shared
from hokusai_validation.result import Status
from hokusai_validation.runner import selection, side_by_side
from hokusai_validation.runner.attempts import Deferred, kind_of, pause
from hokusai_validation.runner.reading import Attempt, Reading
from hokusai_validation.runner.side_by_side import Message
from hokusai_validation.runner.state import State


def run(session: pytest.Session, state: State, attempt: Attempt) -> None:
    """Try again what can still end otherwise; every other first attempt stands as it is."""
    while not session.shouldstop and (together := state.second.take()):
        reading = [each for each in together if not (each.entry.exclusive or each.entry.alone_again)]
        if state.settings.processes > 1 and len(reading) > 1:
            _side_by_side(session, state, attempt, reading)
            together = [each for each in together if each not in reading]
        for each in together:
            pause(each)
            # Everything is torn down behind each: which one comes next is known only then.
            row = attempt(state, each.item, None, each.entry, 2)
            if row.status is Status.SKIPPED:
                _stands(each)
            else:
                state.second.ended(each, row.status, kind_of(row))
    leave(state)


def leave(state: State) -> None:
    """No second attempt is made at what still waits for one."""
    for each in state.second.waiting:
        _stands(each)
    state.second.waiting.clear()


def _side_by_side(
    session: pytest.Session, state: State, attempt: Attempt, deferred: Sequence[Deferred]
) -> None:
    for each in deferred:
        pause(each)
    shared.begin()
    work = Again(session, state, attempt, left={each.item.nodeid: each for each in deferred})
    items = tuple(each.item for each in deferred)
    with state.budget.together([each.entry.phase for each in deferred]):
        side_by_side.run(items, state.settings.processes, work)
    for each in work.left.values():
        _stands(each)


def _stands(deferred: Deferred) -> None:
    """A first attempt stands as it is: told of as what it was."""
    for report in deferred.reports:
        if str(report.outcome) == "rerun":
            report.outcome = "failed"
            deferred.item.ihook.pytest_runtest_logreport(report=report)


@dataclass
class Again(Reading):
    """Second attempts in processes beside the session; `left` are those that none was made of yet."""

    left: dict[str, Deferred] = field(default_factory=dict)

    def run(self, item: pytest.Item, after: pytest.Item | None) -> None:
        """One attempt, and how it ended."""
        entry = selection.entry_of(item, self.state.settings.target)
        if entry is None or self.state.told is None:
            return
        row = self.attempt(self.state, item, after, entry, 2)
        if row.status is not Status.SKIPPED:  # no time, nobody to ask: no attempt was made
            kind = kind_of(row)
            told = None if kind is None else tuple(sorted(kind))
            self.state.told(Message(again=item.nodeid, status=row.status, kind=told))

    def hear(self, message: Message) -> None:
        """As of a first attempt."""
        if message.again is None or message.status is None:
            super().hear(message)
            return
        kind = None if message.kind is None else frozenset(message.kind)
        self.state.second.ended(self.left.pop(message.again), message.status, kind)
