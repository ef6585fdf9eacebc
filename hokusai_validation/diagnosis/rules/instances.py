"""One instance of several that behaves otherwise than the others."""

import json
from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.sightings import REACH, Case, Sighting
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause

_TROUBLE = REACH | {FactKind.SERVICE_UNHEALTHY}


def rule(case: Case) -> Iterator[Hypothesis]:
    """Instances that a test calls different, and an instance that alone has trouble with a
    dependency while a test that asked the others as well saw none."""
    for sighting in case.of(FactKind.INSTANCE_DIFFERS):
        instance = sighting.instance
        owner = case.graph.component_of(instance) if instance else sighting.component
        yield Hypothesis(
            Cause.BAD_INSTANCE, owner, (sighting,), subject=sighting.fact.seen, instance=instance
        )
    for component in sorted({sighting.component for sighting in case.sightings}):
        instance = lone_instance(case, component)
        if instance is not None:
            evidence = _trouble(case, component)
            subject = f"{instance} has trouble with {component}: {evidence[0].fact.seen}"
            owner = case.graph.component_of(instance)
            yield Hypothesis(Cause.BAD_INSTANCE, owner, evidence, subject=subject, instance=instance)


def lone_instance(case: Case, component: str) -> str | None:
    """The one instance that has trouble with a dependency, where another one was asked in the same
    test and had none; None where all have, or nobody knows. What was seen through the load balancer,
    or by their component as a whole, may be of any instance, so it decides nothing; what was seen
    from elsewhere does."""
    evidence = _trouble(case, component)
    own = [each for each in evidence if each.instance is not None]
    names = {each.instance for each in own}
    if len(names) != 1:
        return None
    (name,) = names
    if name is None or (owner := case.graph.component_of(name)) == component:
        return None
    if any(each.instance is None and each.via not in ("load_balancer", owner) for each in evidence):
        return None
    others = [each.name for each in case.target.instances if each.name != name]
    tests = {each.row.test for each in own}
    if any(
        each.component == component and each.instance in others and each.row.test in tests
        for each in case.sightings
    ):
        return None  # another one had some other trouble in the same test
    asked_too = any(other in json.dumps(dict(each.row.evidence)) for each in own for other in others)
    return name if asked_too else None


def _trouble(case: Case, component: str) -> tuple[Sighting, ...]:
    return case.of(*_TROUBLE, component=component, where=lambda sighting: sighting.steady)
