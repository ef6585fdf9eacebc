"""What most rules are made of: sightings grouped by the component that they are about."""

from collections.abc import Iterable, Iterator, Mapping

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.sightings import Case, Sighting
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def by_component(sightings: Iterable[Sighting]) -> dict[str, tuple[Sighting, ...]]:
    """Component → its sightings, in the order of the names."""
    found: dict[str, list[Sighting]] = {}
    for sighting in sightings:
        found.setdefault(sighting.component, []).append(sighting)
    return {component: tuple(found[component]) for component in sorted(found)}


def direct(
    case: Case, causes: Mapping[FactKind, Cause], sightings: Iterable[Sighting] | None = None
) -> Iterator[Hypothesis]:
    """For facts that name their cause by themselves: one hypothesis a kind and component."""
    seen = case.of(*causes) if sightings is None else tuple(sightings)
    for kind, cause in causes.items():
        for component, evidence in by_component(each for each in seen if each.kind is kind).items():
            yield Hypothesis(cause, component, evidence, subject=evidence[0].fact.seen)
