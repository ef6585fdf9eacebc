"""What a running phase tells whoever watches in the same process (the command line does)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import JsonValue, ValidationError

from hokusai_validation.phase_rows import Trouble, TroubleKind
from hokusai_validation.report import Finding
from hokusai_validation.result import Phase, Progress, Result


@dataclass(frozen=True)
class Event:
    """A step begins (`begun`), has a row (`row`), or ends after `seconds`. `step` is a phase's
    name, `aggregate` or `report`; `expected` how many tests it has. `recorded` is a row as it stands on
    record. `findings` are told before the end, each once; `withdrawn` are the titles of all that were
    told and did not last."""

    step: str
    begun: bool = False
    row: Progress | None = None
    recorded: Result | None = None
    seconds: float | None = None
    expected: int = 0
    findings: tuple[Finding, ...] = ()
    withdrawn: tuple[str, ...] = ()


Listener = Callable[[Event], None]
_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have every event of this process told to `listener`."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def notify(event: Event) -> None:
    """Notify all who listen."""
    for listener in tuple(_listeners):
        listener(event)


class Told:
    """What is known of a phase while it runs: by its messages, and by its record where that can be read
    as it grows. Each row is passed on once. `damaged` counts messages that could not be understood."""

    def __init__(self, phase: Phase) -> None:
        self.damaged = 0
        self._phase = phase
        self._heard: set[tuple[str, int]] = set()
        self._shown: set[tuple[str, int]] = set()
        self._read: set[tuple[str, int]] = set()

    def hear(self, payload: JsonValue) -> None:
        """Take a message's content."""
        try:
            progress = Progress.model_validate(payload)
        except ValidationError:
            self.damaged += 1
            return
        self._heard.add((progress.test, progress.attempt))
        self._show(progress)

    def read(self, rows: Iterable[Result]) -> None:
        """Take rows of the record."""
        for row in rows:
            if (row.test, row.attempt) not in self._read:
                self._read.add((row.test, row.attempt))
                notify(Event(self._phase.value, recorded=row))
            self._show(Progress.of(row))

    def compare(self, rows: Sequence[Result]) -> tuple[Trouble, ...]:
        """Take the whole record, and say where messages and record differ."""
        self.read(rows)
        recorded = {(row.test, row.attempt) for row in rows}
        silent = recorded - self._heard
        missing = sorted(test for test, _ in self._heard - recorded)
        troubles = []
        if missing:
            troubles.append(
                Trouble(
                    kind=TroubleKind.ROW_MISSING,
                    text=f"{len(missing)} tests told of their end and are not on record: {', '.join(missing)[:500]}.",
                )
            )
        if silent or self.damaged:
            troubles.append(
                Trouble(
                    kind=TroubleKind.PROGRESS_LOST,
                    text=f"Of {len(rows)} progress messages {len(silent)} did not come"
                    f" ({self.damaged} were damaged); their rows are on record.",
                )
            )
        return tuple(troubles)

    def _show(self, progress: Progress) -> None:
        key = (progress.test, progress.attempt)
        if key not in self._shown:
            self._shown.add(key)
            notify(Event(self._phase.value, row=progress))


STEPS = (*(phase.value for phase in Phase), "aggregate", "report")
