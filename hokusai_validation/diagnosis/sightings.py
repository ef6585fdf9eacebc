"""What was seen, ready for the rules: every fact with the row that it stands in and the
circumstances that decide how much it says."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from hokusai_validation import catalogue
from hokusai_validation.diagnosis.alerts import ALERT_FACTS, measured
from hokusai_validation.diagnosis.error_text import reread
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.result import Category, Result, Status, final_attempts
from hokusai_validation.target import Target

# Worth a finding even where the test that saw it passed.
ODD_ALWAYS = ALERT_FACTS | {FactKind.HEALTH_ANSWER_WRONG, FactKind.SECRET_NEWER_THAN_TASKS}

_PUTS_FAULTS_ON = frozenset({"faults", "failpoints", "control"})


@dataclass(frozen=True, eq=False)  # two sightings are the same only when they are one
class Sighting:
    """One fact in one row. `kind` is the fact's, sharpened by the error text where that says more;
    `component` is of the topology; `instance` the one instance that it is about or was seen from;
    `steady`: no fault of ours was on."""

    fact: Fact
    row: Result
    kind: FactKind
    component: str
    instance: str | None
    steady: bool
    failed: bool

    @property
    def test(self) -> str:
        """The row's test."""
        return self.row.test


class Case:
    """Everything that the rules may read."""

    def __init__(self, rows: Sequence[Result], target: Target) -> None:
        self.target = target
        self.graph = Graph(target)
        self.final = final_attempts(rows)
        self.failed = tuple(row for row in self.final if row.status is Status.FAILED)
        self.sightings = tuple(self._gather())
        self._passed = {(row.component, row.category) for row in self.final if row.status is Status.PASSED}

    def of(
        self,
        *kinds: FactKind,
        component: str | None = None,
        where: Callable[[Sighting], bool] | None = None,
    ) -> tuple[Sighting, ...]:
        """The sightings of these kinds, in the order of the rows."""
        return tuple(
            sighting
            for sighting in self.sightings
            if sighting.kind in kinds
            and (component is None or sighting.component == component)
            and (where is None or where(sighting))
        )

    def passed(self, component: str, *categories: Category) -> bool:
        """Whether any test of a component (in these categories) passed."""
        return any((component, category) in self._passed for category in categories or tuple(Category))

    def _gather(self) -> Iterator[Sighting]:
        for row in self.final:
            failed = row.status is Status.FAILED
            if not row.executed:
                continue
            made: Iterable[Fact] = () if row.category is Category.CHAOS else measured(row, self.target)
            for fact in dict.fromkeys((*row.facts, *made)):
                if failed or fact.kind in ODD_ALWAYS or fact not in row.facts:
                    yield self._sighting(fact, row, failed)

    def _sighting(self, fact: Fact, row: Result, failed: bool) -> Sighting:
        instance = self.graph.instance_of(fact.component) or self.graph.instance_of(fact.via)
        return Sighting(
            fact=fact,
            row=row,
            kind=reread(fact),
            component=self.graph.component_of(fact.component),
            instance=instance,
            steady=not injects(row),
            failed=failed,
        )


def injects(row: Result) -> bool:
    """Whether a row's test puts faults on, so that what it saw unreachable may be its own doing."""
    entry = catalogue.find(row.test) or catalogue.find(row.test.partition("[")[0])
    if entry is None:
        return row.category is Category.CHAOS
    return any(need in _PUTS_FAULTS_ON or need.startswith("fault:") for need in entry.needs)
