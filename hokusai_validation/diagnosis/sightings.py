"""What was seen, ready for the rules: every fact with the row that it stands in and the
circumstances that decide how much it says."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from hokusai_validation import catalogue
from hokusai_validation.diagnosis.alerts import ALERT_FACTS, measured
from hokusai_validation.diagnosis.error_text import reread
from hokusai_validation.diagnosis.places import Places
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.result import Category, Result, Status, final_attempts
from hokusai_validation.target import Target

# Worth a finding even where the test that saw it passed.
ODD_ALWAYS = ALERT_FACTS | {FactKind.HEALTH_ANSWER_WRONG, FactKind.SECRET_NEWER_THAN_TASKS}

_PUTS_FAULTS_ON = frozenset({"faults", "failpoints", "control"})


# How a component may be out of reach: what lies behind it can't be seen then.
REACH = frozenset(
    {
        FactKind.REFUSED,
        FactKind.CONNECT_TIMED_OUT,
        FactKind.READ_TIMED_OUT,
        FactKind.RESET,
        FactKind.NAME_NOT_RESOLVED,
    }
)


@dataclass(frozen=True, eq=False)  # two sightings are the same only when they are one
class Sighting:
    """One fact in one row. `kind` is the fact's, sharpened by the error text where that says more;
    `component` is of the topology; `via` the component that it was seen through; `instance` the one
    instance that it is about or was seen from; `steady`: no fault of ours was on; `blind`: what it
    was seen through is itself out of reach, so it says nothing of the component."""

    fact: Fact
    row: Result
    kind: FactKind
    component: str
    via: str | None
    instance: str | None
    steady: bool
    failed: bool
    blind: bool = False

    @property
    def test(self) -> str:
        """The row's test."""
        return self.row.test


class Case:
    """Everything that the rules may read."""

    def __init__(self, rows: Sequence[Result], target: Target) -> None:
        self.target = target
        self.graph = Graph(target)
        self._places = Places(target)
        self.final = final_attempts(rows)
        self.failed = tuple(row for row in self.final if row.status is Status.FAILED)
        self.sightings = self._with_blind(tuple(self._gather()))
        self._passed = {(row.component, row.category) for row in self.final if row.status is Status.PASSED}

    def of(
        self,
        *kinds: FactKind,
        component: str | None = None,
        where: Callable[[Sighting], bool] | None = None,
    ) -> tuple[Sighting, ...]:
        """The sightings of these kinds that say something, in the order of the rows."""
        return tuple(
            sighting
            for sighting in self.sightings
            if sighting.kind in kinds
            and not sighting.blind
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
        kind, component, behind = self._what(fact, row)
        via = behind or (self.graph.component_of(fact.via) if fact.via else None)
        return Sighting(
            fact=fact,
            row=row,
            kind=kind,
            component=component,
            via=None if via == component else via,
            instance=self.graph.instance_of(fact.component) or self.graph.instance_of(fact.via),
            steady=not injects(row),
            failed=failed,
        )

    def _what(self, fact: Fact, row: Result) -> tuple[FactKind, str, str | None]:
        """The kind and the component that a fact is really about, and, where that is another than
        the one it names, through which it was seen: a refused connection is about who lives at
        that address, and an error text about the dependency that it names."""
        component = self.graph.component_of(fact.component)
        if fact.kind in REACH:
            whose = fact.kind is FactKind.NAME_NOT_RESOLVED and self._places.component_of_name(fact.seen)
            return fact.kind, self._places.component_at(fact.seen) or whose or component, None
        for text in (fact.seen, _answered(row) if fact.kind is FactKind.PROXY_ERROR else ""):
            kind = reread(fact, text)
            named = self._places.named(text) if kind in REACH else None
            if named is not None and named != component and named in self.target.topology:
                return kind, named, component if named in self.graph.below(component) else None
            # A process that answers in words is not out of reach itself.
            if kind is not fact.kind and not (kind in REACH and (component == "api" or text != fact.seen)):
                return kind, component, None
        return fact.kind, component, None

    def _with_blind(self, sightings: Sequence[Sighting]) -> tuple[Sighting, ...]:
        """A chain is broken at its first link: whatever was seen through a component that others,
        not through it, found out of reach."""
        out = {
            each.component
            for each in sightings
            if each.kind in REACH and each.steady and each.via != each.component
        }
        # Only those that are out as seen from somewhere that is not itself behind something out.
        surely = {
            each.component
            for each in sightings
            if each.kind in REACH and each.steady and (each.via is None or each.via not in out)
        }
        return tuple(replace(each, blind=each.via in surely) for each in sightings)


def _answered(row: Result) -> str:
    """What the one answer of a row that was an error said; empty where there were several."""
    bodies = [
        answer["body"]
        for answer in row.evidence.values()
        if isinstance(answer, dict)
        and isinstance(answer.get("body"), str)
        and isinstance(status := answer.get("status"), int)
        and status >= 500
    ]
    return str(bodies[0]) if len(bodies) == 1 else ""


def injects(row: Result) -> bool:
    """Whether a row's test puts faults on, so that what it saw unreachable may be its own doing."""
    entry = catalogue.find(row.test) or catalogue.find(row.test.partition("[")[0])
    if entry is None:
        return row.category is Category.CHAOS
    return any(need in _PUTS_FAULTS_ON or need.startswith("fault:") for need in entry.needs)
