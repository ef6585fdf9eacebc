"""The time that a phase may take, and what is left out when it is used up: the least important first."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hokusai_validation.catalogue import Entry
from hokusai_validation.errors import TimeBudgetSpent
from hokusai_validation.result import Phase
from hokusai_validation.target import Target

# From this share of a budget on, only what is critical, or about a component that nothing was tried of.
RESERVE = 0.75


@dataclass
class Budget:
    """Of one suite process: what each phase has spent so far."""

    target: Target
    _spent_s: dict[Phase, float] = field(default_factory=dict)
    _tried: set[tuple[Phase, str]] = field(default_factory=set)

    def check(self, entry: Entry) -> None:
        """Whether there is time for this test.

        Raises TimeBudgetSpent."""
        budget_s = self.target.budgets.of(entry.phase)
        spent_s = self._spent_s.get(entry.phase, 0.0)
        important = entry.critical or (entry.phase, entry.component) not in self._tried
        if spent_s >= budget_s * (1 if important else RESERVE):
            raise TimeBudgetSpent(
                f"time budget: phase {entry.phase.value} may take {budget_s:g} s"
                f" (`budgets.{entry.phase.value}_s`), of which {spent_s:.0f} s were used"
            )

    @contextmanager
    def spending(self, entry: Entry) -> Iterator[None]:
        """The block's time is the phase's."""
        began = time.monotonic()
        try:
            yield
        finally:
            taken_s = time.monotonic() - began
            self._spent_s[entry.phase] = self._spent_s.get(entry.phase, 0.0) + taken_s

    @contextmanager
    def together(self, phases: Collection[Phase]) -> Iterator[None]:
        """The block's time is that of all these phases, whose tests run in it side by side."""
        began = time.monotonic()
        yield
        for phase in set(phases):
            taken_s = (time.monotonic() - began) / len(set(phases))
            self._spent_s[phase] = self._spent_s.get(phase, 0.0) + taken_s

    def tried(self, entry: Entry) -> None:
        """A test of a component was executed."""
        self._tried.add((entry.phase, entry.component))
