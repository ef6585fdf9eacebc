"""Looks at the rows of a phase while they arrive, tells of firm findings at once, and keeps them in
`provisional.json` beside what the run's phases printed: never a report, never in the history."""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hokusai_validation.assets import progress
from hokusai_validation.diagnosis.diagnose import diagnose
from hokusai_validation.diagnosis.provisional import LOOK_EVERY_S, Provisional, Standing
from hokusai_validation.errors import ReportNotWritten
from hokusai_validation.redaction import Redactor
from hokusai_validation.result import Phase, Result, Status
from hokusai_validation.store.storage import write_whole
from hokusai_validation.target import Target

if TYPE_CHECKING:
    from upath import UPath

FILE = "provisional.json"
PAUSES = 4.0  # times what a look takes: of many rows it takes seconds, which the tests need themselves


@dataclass
class _Run:
    """The present run of this process: its phases follow one another, and its rows add up."""

    run_id: str
    rows: list[Result] = field(default_factory=list)
    standing: Standing = field(default_factory=Standing)


_present = _Run("")


def rows_of(run_id: str) -> tuple[Result, ...]:
    """The rows of a run so far, as far as its phases ran in this process; in order."""
    return tuple(_present.rows) if _present.run_id == run_id else ()


@contextmanager
def watching(
    target: Target,
    run_id: str,
    phase: Phase,
    asked: Sequence[Phase],
    folder: "UPath",
    redactor: Redactor,
) -> Iterator[Standing]:
    """Rows that are told of in the block are looked at every `LOOK_EVERY_S` seconds at most, by a thread of
    its own; `folder` takes the file. What is found is masked: the commands in it are made of the target."""
    global _present
    if _present.run_id != run_id:
        _present = _Run(run_id)
    to_come = (
        tuple(each.value for each in asked[asked.index(phase) :] if each in asked) if phase in asked else ()
    )
    looker = _Looker(_present, target, phase, to_come, folder, redactor)
    with progress.listening(looker.hear):
        looker.start()
        try:
            yield _present.standing
        finally:
            looker.close()


class _Looker:
    def __init__(
        self,
        run: _Run,
        target: Target,
        phase: Phase,
        to_come: tuple[str, ...],
        folder: "UPath",
        redactor: Redactor,
    ) -> None:
        self._redactor = redactor
        self._run = run
        self._target = target
        self._phase = phase
        self._to_come = to_come
        self._folder = folder
        self._news = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="provisional", daemon=True)

    def hear(self, event: progress.Event) -> None:
        """A row came: what failed is news."""
        if event.recorded is None:
            return
        self._run.rows.append(event.recorded)
        if event.recorded.status is Status.FAILED or self._run.standing.told:
            self._news.set()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """One more look at what came last, and the end."""
        self._ended.set()
        self._news.set()
        self._thread.join()

    def _look_on(self) -> None:
        while not self._ended.is_set():
            self._news.wait()
            self._news.clear()
            began_s = time.thread_time()
            if self._look():
                # What is not firm yet is looked at again, whether or not rows come.
                self._news.set()
            self._ended.wait(max(LOOK_EVERY_S, PAUSES * (time.thread_time() - began_s)))

    def _look(self) -> bool:
        """Whether there are findings that are not told yet."""
        rows = tuple(self._run.rows)
        made = diagnose(rows, self._target, at=datetime.now(UTC))
        findings = tuple(self._redactor.model(finding) for finding in made)
        standing = self._run.standing
        before = set(standing.told)
        fresh = standing.look(findings, time.monotonic())
        if fresh or set(standing.told) != before:
            self._write(rows)
            progress.notify(
                progress.Event(self._phase.value, findings=fresh, withdrawn=tuple(standing.withdrawn))
            )
        return len(standing.told) < len(findings)

    def _write(self, rows: Sequence[Result]) -> None:
        standing = self._run.standing
        document = Provisional(
            run_id=self._run.run_id,
            target=self._target.name,
            at=datetime.now(UTC),
            rows=len(rows),
            to_come=self._to_come,
            findings=tuple(standing.told.values()),
            withdrawn=tuple(standing.withdrawn),
        )
        with contextlib.suppress(ReportNotWritten):  # told where the report is written
            write_whole(self._folder / FILE, document.model_dump_json(indent=1).encode())
