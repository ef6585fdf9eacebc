"""Every test that must report: the 67 of the catalogue, what is beyond them, and a target's own checks.

One TOML file a category beside this module; `says` is what must hold, in words for a reader.
"""

import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from hokusai_validation.checks import Check
from hokusai_validation.result import CATALOGUE_CATEGORIES, Category, Phase
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

CHECK_MARGIN_S = 10.0  # over a check's own time-out: looking up its secrets

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
    """One test. `component` is what it is about: a role, of a target's own check a name in its
    topology; `needs` are the target's parts without which it is skipped (`aws`, `breaker`,
    `faults`, `instances`, `failpoints`, …); `exclusive` ones inject faults or measure and run alone, `first`
    ones take seconds where all is well and begin before the others; a second attempt at `alone_again` ones is made
    with nothing beside it; `limit_s` ends a hanging one. `generic` ones ask nothing of the service contract."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    test: str
    component: Role | str
    says: str
    critical: bool = False
    exclusive: bool = False
    first: bool = False
    alone_again: bool = False
    needs: tuple[str, ...] = ()
    requirement: str
    limit_s: float = 30.0
    category: Category
    phase: Phase
    generic: bool = False

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
    defaults = {"category": category, "phase": PHASE_OF[category], **values.get("defaults", {})}
    rows = ({**defaults, **row} for row in values["tests"])
    return tuple(Entry.model_validate({**row, "component": Role(row["component"])}) for row in rows)


def of_target(target: Target) -> tuple[Entry, ...]:
    """Every entry of a target: the catalogue's, then its own checks."""
    return (*entries(), *of_checks(target.checks))


def of_checks(checks: Iterable[Check]) -> tuple[Entry, ...]:
    """The entries of checks: `K1`, `K2` in the order of the file."""
    return tuple(
        Entry(
            id=f"K{number}",
            test=check_test(each.name),
            component=each.component,
            says=each.says or each.asks,
            critical=each.critical,
            requirement="FR2",
            limit_s=each.timeout_s + CHECK_MARGIN_S,
            category=Category.CHECK,
            phase=Phase(each.phase),
            generic=True,
        )
        for number, each in enumerate(checks, start=1)
    )


def check_test(name: str) -> str:
    """The test that a check of this name is."""
    return f"TestDeclared::test_check[{name}]"


def phase_entries(phase: Phase, target: Target | None = None) -> tuple[Entry, ...]:
    """The entries that a phase runs, with those of a target's own checks."""
    every = entries() if target is None else of_target(target)
    return tuple(entry for entry in every if entry.phase is phase)


def find(test: str, target: Target | None = None) -> Entry | None:
    """The entry of a test by its name (`Class::function`, with `[case]` where it has one)."""
    own = () if target is None else of_checks(target.checks)
    return _by_test().get(test) or next((entry for entry in own if entry.test == test), None)


@cache
def _by_test() -> dict[str, Entry]:
    return {entry.test: entry for entry in entries()}
