"""Every test that must report: the 67 of the catalogue and what is beyond them.

One TOML file a category beside this module; `says` is what must hold, in words for a reader.
"""

import tomllib
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from hokusai_validation.result import CATALOGUE_CATEGORIES, Category, Phase

PHASE_OF: dict[Category, Phase] = {
    Category.ENVIRONMENT: Phase.ENVIRONMENT,
    Category.DISCOVERY: Phase.DISCOVERY,
    Category.INFRASTRUCTURE: Phase.HEALTH,
    Category.INTEGRATION: Phase.HEALTH,
    Category.FUNCTIONAL: Phase.FUNCTIONAL,
    Category.UNIT: Phase.FUNCTIONAL,
    Category.LOAD: Phase.LOAD,
    Category.CHAOS: Phase.CHAOS,
}

# The requirement's five functional groups, as the traceability table names them.
REQUIREMENTS = {
    "FR1": "Environment and infrastructure are what was declared, and reachable",
    "FR2": "Services are healthy and say so truthfully",
    "FR3": "Functions work end to end: authentication, registration, database, MLflow",
    "FR4": "Load and failure are survived, with recovery",
    "FR5": "Results are complete, traceable and lead to action",
}


class Entry(BaseModel):
    """One test. `needs` are the target's parts without which it is skipped (`aws`, `breaker`,
    `faults`, `instances`, `failpoints`, …); `exclusive` ones inject faults or measure and run
    alone; `limit_s` ends a hanging one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    test: str
    component: str
    says: str
    critical: bool = False
    exclusive: bool = False
    needs: tuple[str, ...] = ()
    requirement: str
    limit_s: float = 30.0
    category: Category

    @property
    def phase(self) -> Phase:
        """The phase that runs it."""
        return PHASE_OF[self.category]

    @property
    def in_catalogue(self) -> bool:
        """Whether it is one of the 67."""
        return self.category in CATALOGUE_CATEGORIES


@cache
def entries(category: Category | None = None) -> tuple[Entry, ...]:
    """The entries of a category, or all, in the order of the phases and of the files."""
    if category is None:
        return tuple(entry for each in PHASE_OF for entry in entries(each))
    path = Path(__file__).with_name(f"{category.value}.toml")
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    defaults = {"category": category, **values.get("defaults", {})}
    return tuple(Entry.model_validate({**defaults, **row}) for row in values["tests"])


def phase_entries(phase: Phase) -> tuple[Entry, ...]:
    """The entries that a phase runs."""
    return tuple(entry for entry in entries() if entry.phase is phase)


def find(test: str) -> Entry | None:
    """The entry of a test by its name (`Class::function`, with `[case]` where it has one)."""
    return _by_test().get(test)


@cache
def _by_test() -> dict[str, Entry]:
    return {entry.test: entry for entry in entries()}
