"""What a running phase tells whoever watches in the same process (the command line does)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hokusai_validation.report import Finding
from hokusai_validation.result import Phase, Result


@dataclass(frozen=True)
class Event:
    """A step begins (`begun`), sends a row (`row`), or ends after `seconds`. `step` is a phase's
    name, `aggregate` or `report`; `expected` how many tests it has. `findings` are told before the end,
    each once; `withdrawn` are the titles of all that were told and did not last."""

    step: str
    begun: bool = False
    row: Result | None = None
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
    """Tell all who listen."""
    for listener in tuple(_listeners):
        listener(event)


STEPS = (*(phase.value for phase in Phase), "aggregate", "report")
