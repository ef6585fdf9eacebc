"""A component that can't be reached, told apart by how: nothing listens (a dead process), the
connection is never accepted (a closed security group), it is accepted and never answered (a hung
process), or it is broken off.

Only what was seen while no fault of ours was on counts: a link that a test cut is no cause."""

from collections.abc import Iterator, Set

from hokusai_validation import catalogue
from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import by_component
from hokusai_validation.diagnosis.rules.instances import lone_instance
from hokusai_validation.diagnosis.sightings import Case, injects
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause
from hokusai_validation.result import Category, Result, Status

# The surer sign first: clients of a dead process also see resets and time-outs.
SIGNS = (
    (FactKind.REFUSED, Cause.PROCESS_DOWN),
    (FactKind.CONNECT_TIMED_OUT, Cause.NETWORK_CLOSED),
    (FactKind.RESET, Cause.CONNECTION_RESET),
    (FactKind.READ_TIMED_OUT, Cause.NOT_ANSWERING),
)
AT_REST = (Category.ENVIRONMENT, Category.DISCOVERY, Category.INFRASTRUCTURE, Category.FUNCTIONAL)
_THROUGH = frozenset({"gateway", "registry", "api", "instances"})
KINDS = tuple(kind for kind, _ in SIGNS)


def rule(case: Case) -> Iterator[Hypothesis]:
    """One hypothesis a component, by its surest sign; the other signs are part of the evidence."""
    seen = case.of(*KINDS, where=lambda sighting: sighting.steady)
    for component, evidence in by_component(seen).items():
        if not case.graph.is_deployed(component) or lone_instance(case, component):
            continue
        cause = next(cause for kind, cause in SIGNS if any(each.kind is kind for each in evidence))
        if cause is Cause.NOT_ANSWERING and component == "load_balancer" and _lets_others_through(case):
            continue  # what did not answer lies behind it
        if cause is Cause.NOT_ANSWERING and _answers_others(case, component):
            cause = Cause.SLOW_DEPENDENCY
        seen_from = {each.via for each in evidence}
        lone = seen_from.pop() if len(seen_from) == 1 and case.passed(component, *AT_REST) else None
        yield Hypothesis(cause, component, evidence, subject=evidence[0].fact.seen, only_from=lone)


def _answers_others(case: Case, component: str) -> bool:
    """Whether requests that took the same way, through the API, were answered: then what timed out
    was only less patient."""
    return any(row.component == component and not injects(row) for row in _passed(case, _THROUGH))


def _lets_others_through(case: Case) -> bool:
    """Whether requests through the load balancer were answered."""
    return any(_passed(case, {"gateway"}))


def _passed(case: Case, needs: Set[str]) -> Iterator[Result]:
    """The rows of tests that passed and need any of these."""
    for row in case.final:
        entry = catalogue.find(row.test) if row.status is Status.PASSED else None
        if entry is not None and needs & set(entry.needs):
            yield row
