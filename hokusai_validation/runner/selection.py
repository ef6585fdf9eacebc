"""Which tests are asked for, and which files hold them."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from hokusai_validation.catalogue import Entry, entries, find, of_target
from hokusai_validation.result import Category, Phase
from hokusai_validation.target import Target

SUITE_DIR = Path(__file__).parent.parent / "suite"
DECLARED = "test_declared.py"  # a target's own checks: nothing in it where it has none
_PHASES = tuple(Phase)


@dataclass(frozen=True)
class Selection:
    """Of the catalogue: categories and phases (empty: all), and whether only critical tests."""

    categories: tuple[Category, ...] = ()
    phases: tuple[Phase, ...] = ()
    critical_only: bool = False

    def in_scope(self, entry: Entry) -> bool:
        """Whether its category and phase were asked for: it gets a row in any case."""
        return (not self.categories or entry.category in self.categories) and (
            not self.phases or entry.phase in self.phases
        )

    def wants(self, entry: Entry) -> bool:
        """Whether it is to be run."""
        return self.in_scope(entry) and (entry.critical or not self.critical_only)

    def scope(self, target: Target) -> tuple[Entry, ...]:
        """Every entry of a target that gets a row."""
        return tuple(entry for entry in of_target(target) if self.in_scope(entry))


def test_name(nodeid: str) -> str:
    """A test's name as the catalogue writes it: the node id without its file."""
    return nodeid.split("::", 1)[1] if "::" in nodeid else nodeid


def entry_of(item: pytest.Item, target: Target | None = None) -> Entry | None:
    """The entry of a collected test, in the catalogue or of a target's own checks."""
    return find(test_name(item.nodeid), target)


def entries_in(path: Path, target: Target | None = None) -> tuple[Entry, ...]:
    """The entries that a test file holds."""
    names = _tests_in(path)
    every = entries() if target is None else of_target(target)
    return tuple(entry for entry in every if entry.test.partition("[")[0] in names)


@cache
def _tests_in(path: Path) -> frozenset[str]:
    """The tests that a test file holds, read from its text: neither its imports need to work nor
    a target to be there. Empty where none is found (a base class elsewhere, a syntax error)."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return frozenset()
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{each}" for each in _functions(node.body)}
    names |= _functions(tree.body)
    return frozenset(names)


def _functions(body: list[ast.stmt]) -> set[str]:
    return {
        node.name
        for node in body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
    }


def order(entry: Entry | None) -> tuple[bool, int, bool]:
    """Sorts the exclusive ones behind the others, then by phase, the long ones first; within that, as
    collected."""
    if entry is None:
        return (False, 0, True)
    return (entry.exclusive, _PHASES.index(entry.phase), not entry.first)


def is_narrowed(config: pytest.Config) -> bool:
    """Whether less than the whole suite was asked for by pytest's own means."""
    whole = {"hokusai_validation.suite", str(SUITE_DIR)}
    paths = {str(each) for each in config.args}
    absolute = {str(Path(each).resolve()) for each in paths}
    return bool(config.option.keyword or config.option.markexpr) or not (paths | absolute) & whole
