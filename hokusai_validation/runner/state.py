"""What one suite process knows: its settings, its rows so far, what is still to come."""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pytest

from hokusai_validation.catalogue import Entry
from hokusai_validation.errors import RecordNotWritten
from hokusai_validation.resources.places import Places
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import Progress, Result, Status
from hokusai_validation.runner import rows
from hokusai_validation.runner.attempts import SecondAttempts
from hokusai_validation.runner.budget import Budget
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.runner.selection import SUITE_DIR
from hokusai_validation.runner.settings import Settings
from hokusai_validation.runner.side_by_side import Message, Send
from hokusai_validation.runner.stall import StallWatch
from hokusai_validation.runner.tracing import Tracing
from hokusai_validation.store.book import Book

STATE = pytest.StashKey["State"]()


@dataclass
class State:
    """Of one suite process."""

    settings: Settings
    secrets: Secrets
    root: Path = SUITE_DIR
    reported: list[Progress] = field(default_factory=list)
    collected: set[str] = field(default_factory=set)
    unimportable: dict[str, str] = field(default_factory=dict)  # test -> why
    running: tuple[Entry, int, datetime] | None = None
    interrupted: str = ""
    second: SecondAttempts = field(init=False)
    told: Send | None = None  # of a test process beside others: where it tells of its tests
    evidence: Evidence = field(init=False)  # of the attempt that runs
    stalls: StallWatch = field(default_factory=StallWatch)
    stalled: set[str] = field(default_factory=set)  # tests whose first attempt a stall of ours ended

    def __post_init__(self) -> None:
        self.evidence = Evidence(self.settings.target)
        self.second = SecondAttempts(standing=set(self.settings.known.standing))

    @cached_property
    def budget(self) -> Budget:
        """What the phases may take, and have taken."""
        return Budget(self.settings.target)

    @cached_property
    def tracing(self) -> Tracing | None:
        """Where the rows go as traces; None where nobody takes them."""
        return Tracing.from_environment()

    @cached_property
    def places(self) -> Places:
        """Which component each address of the target is."""
        return Places(self.settings.target)

    @cached_property
    def book(self) -> Book:
        """What this process has under way at the target."""
        return Book(self.settings.target, self.settings.run_id)

    def record(self, row: Result) -> None:
        """A row on record."""
        for each in self.settings.records:
            each.add(row)

    def note(self, progress: Progress) -> None:
        """Remember that a test has its row, and tell of it."""
        if self.told is not None:
            self.told(Message(progress=progress))
            return
        self.reported.append(progress)
        if self.settings.pipes is not None:
            self.settings.pipes.notify(progress)

    def broken(self, entry: Entry, message: str) -> Result:
        """The row of a test that came to no end."""
        return rows.unrun(
            entry,
            run_id=self.settings.run_id,
            target=self.settings.target,
            status=Status.BROKEN,
            message=message,
        )

    def send(self, row: Result) -> None:
        """A row that no test gave: on record, and told of."""
        self.record(row)
        self.note(Progress.of(row))

    def send_missing(self, *, narrowed: bool = False) -> None:
        """The rows of everything in scope that has none."""

        def asked(entry: Entry) -> bool:
            known = entry.test in self.collected or entry.test in self.unimportable
            return self.settings.selection.wants(entry) and (known or not narrowed)

        def why(entry: Entry) -> str:
            return self.unimportable.get(entry.test, self.interrupted)

        missing = rows.complete(
            self.reported,
            scope=self.settings.selection.scope(self.settings.target),
            asked=asked,
            run_id=self.settings.run_id,
            target=self.settings.target,
            why=why,
        )
        for result in missing:
            self.send(result)

    def give_up(self, message: str) -> None:
        """A test hangs where no exception reaches it: send its row and all others that are still
        missing, then end the process."""
        if self.running is not None:
            entry, attempt, started_at = self.running
            row = self.broken(entry, f"{message}; the suite process was ended.")
            taken_s = (datetime.now(UTC) - started_at).total_seconds()
            self.send(
                row.model_copy(update={"attempt": attempt, "started_at": started_at, "duration_s": taken_s})
            )
            if self.told is None:
                self.interrupted = f"the suite process was ended, because {entry.test} hung"
                self.send_missing()
            self.close()
        os._exit(3)

    def close(self) -> bool:
        """Write what still waits; whether all rows are on record."""
        whole = True
        self.book.close()
        if self.tracing is not None:
            self.tracing.close()
        for each in self.settings.records:
            try:
                each.close()
            except RecordNotWritten as error:
                print(f"error: {error}")
                whole = False
        return whole
