"""An optional component that is not there, and code that takes its absence for a failure."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import by_component
from hokusai_validation.diagnosis.rules.reach import KINDS
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """A test says so, or something that the target file declares as not deployed is called unhealthy."""
    for component, evidence in by_component(case.of(FactKind.OPTIONAL_REQUIRED)).items():
        yield Hypothesis(Cause.OPTIONAL_REQUIRED, component, evidence, subject=evidence[0].fact.seen)
    absent = case.of(
        FactKind.SERVICE_UNHEALTHY,
        FactKind.NAME_NOT_RESOLVED,
        *KINDS,
        where=lambda sighting: sighting.steady and not case.graph.is_deployed(sighting.component),
    )
    for component, evidence in by_component(absent).items():
        yield Hypothesis(Cause.OPTIONAL_REQUIRED, component, evidence, subject=evidence[0].fact.seen)
