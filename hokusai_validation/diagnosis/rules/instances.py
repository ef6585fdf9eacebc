"""One instance of several that behaves otherwise than the others."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """The instances that differ, all under their component."""
    for sighting in case.of(FactKind.INSTANCE_DIFFERS):
        component = sighting.component
        instance = sighting.instance
        owner = case.graph.component_of(instance) if instance else component
        yield Hypothesis(
            Cause.BAD_INSTANCE, owner, (sighting,), subject=sighting.fact.seen, instance=instance
        )
