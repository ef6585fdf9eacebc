"""Live progress by phase and test: a moving display on a terminal, plain lines elsewhere. Of the tests only
those that are not good, both attempts in one line, unless all are asked for."""

import os
import signal
import time
from contextlib import AbstractContextManager
from enum import Enum
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from hokusai_validation.assets.progress import Event, listening
from hokusai_validation.diagnosis.provisional import ends_a_run
from hokusai_validation.report import Finding
from hokusai_validation.reporting.escape import one_line, terminal
from hokusai_validation.result import Progress as Line
from hokusai_validation.result import Status

MARKS = {
    Status.PASSED: ("green", "✔"),
    Status.FAILED: ("red", "✘"),
    Status.BROKEN: ("magenta", "?"),
    Status.SKIPPED: ("dim", "–"),
}


BAD = (Status.FAILED, Status.BROKEN)


class Shown(Enum):
    """How much is told while a run goes on."""

    NOTHING = "nothing"
    NOT_GOOD = "not_good"  # phases, findings, and tests that failed or broke
    ALL = "all"  # every attempt at every test


class ProgressView:
    """Shows what the phases tell, and remembers where the time went."""

    def __init__(self, console: Console, *, until_p0: bool = False, shown: Shown = Shown.NOT_GOOD) -> None:
        """`until_p0`: the first certain P0 finding ends the run, as Ctrl-C would, and is `ended_by`."""
        self._console = console
        self._until_p0 = until_p0
        self._shown = shown
        self._waiting: dict[str, Line] = {}  # bad first attempts, each until its second or its phase's end
        self.ended_by: Finding | None = None
        self._started = time.monotonic()
        self._withdrawn = 0
        self.seconds: dict[str, float] = {}
        self.in_tests: dict[str, float] = {}
        self._begun: dict[str, float] = {}
        self._bars: dict[str, TaskID] = {}
        self._listening: AbstractContextManager[None] | None = None
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[last]}"),
            console=console,
            disable=not console.is_terminal or shown is Shown.NOTHING,
        )

    def __enter__(self) -> Self:
        self._listening = listening(self._hear)
        self._listening.__enter__()
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)
        if self._listening is not None:
            self._listening.__exit__(kind, error, trace)

    def say(self, text: str) -> None:
        """A line of its own."""
        if self._shown is not Shown.NOTHING:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _hear(self, event: Event) -> None:
        if event.begun:
            self._begun[event.step] = time.monotonic()
            self.in_tests[event.step] = 0.0
            self._bars[event.step] = self._progress.add_task(event.step, total=event.expected or 1, last="")
            if not self._console.is_terminal:
                self.say(f"{event.step}: {event.expected} tests" if event.expected else event.step)
        if event.row is not None:
            self._row(event.step, event.row)
        for finding in event.findings:
            self._finding(finding)
        for title in event.withdrawn[self._withdrawn :]:
            self.say(f"  no longer: {one_line(title, 200)}")
        self._withdrawn = len(event.withdrawn) or self._withdrawn
        if event.seconds is not None:
            for row in self._waiting.values():
                self._tell(row)
            self._waiting.clear()
            self.seconds[event.step] = event.seconds
            self._progress.update(self._bars[event.step], completed=event.expected or 10_000, last="")

    def _finding(self, finding: Finding) -> None:
        after_s = time.monotonic() - self._started
        self.say(f"  {finding.priority.value} after {after_s:.0f} s: {one_line(finding.title, 200)}")
        if self._until_p0 and (self.ended_by is None) and ends_a_run((finding,)):
            self.ended_by = finding
            # As Ctrl-C would: the suite process puts the target right and ends.
            os.kill(os.getpid(), signal.SIGINT)

    def _row(self, step: str, row: Line) -> None:
        self.in_tests[step] += row.duration_s
        first = row.attempt == 1
        self._progress.update(self._bars[step], advance=1 if first else 0, last=terminal(row.test, 60))
        if self._shown is Shown.ALL:
            self._tell(row)
        elif first and row.status in BAD:
            self._waiting[row.test] = row
        elif (before := self._waiting.pop(row.test, None)) is not None or row.status in BAD:
            self._tell(row, before)

    def _tell(self, row: Line, before: Line | None = None) -> None:
        """A line of one test, its attempt before this one with it."""
        colour, mark = MARKS[row.status]
        message = one_line(row.message, 160)
        if before is not None:
            again = f"{before.status.value}, then {row.status.value} at its second attempt"
            first = one_line(before.message, 160)
            message = f"{again}: {message if row.status in BAD and message else first}"
        shown = f"{row.id} {row.test}"
        if self._console.is_terminal and self._shown is not Shown.NOTHING:
            text = f"{shown}: {message}" if (message and row.status is not Status.PASSED) or before else shown
            self._console.print(f"[{colour}]{mark}[/] {terminal(text)}", highlight=False)
            return
        told = message and (row.status is not Status.PASSED or before is not None)
        self.say(f"  {row.status.value:<7} {shown} {row.duration_s:.2f} s{f'  {message}' if told else ''}")
