"""The rules, one concept a file: each reads a `Case` and proposes hypotheses with the sightings
that they rest on. Which of them explain others is decided elsewhere (`explain.py`)."""

from collections.abc import Callable, Iterable

from hokusai_validation.diagnosis.hypothesis import Hypothesis, merge
from hokusai_validation.diagnosis.rules import (
    answers,
    artifacts,
    balancer,
    breaker,
    certificates,
    cloud_access,
    credentials,
    database,
    deployment,
    event_loop,
    health_views,
    instances,
    keys,
    memory,
    names,
    optional_parts,
    reach,
    recovery,
    slowness,
)
from hokusai_validation.diagnosis.sightings import Case

Rule = Callable[[Case], Iterable[Hypothesis]]

RULES: tuple[Rule, ...] = (
    reach.rule,
    names.rule,
    instances.rule,
    balancer.rule,
    deployment.rule,
    credentials.rule,
    database.rule,
    keys.rule,
    breaker.rule,
    event_loop.rule,
    health_views.rule,
    optional_parts.rule,
    certificates.rule,
    artifacts.rule,
    slowness.rule,
    memory.rule,
    answers.rule,
    recovery.rule,
    cloud_access.rule,
)


def hypotheses(case: Case) -> tuple[Hypothesis, ...]:
    """What all rules propose, merged by cause and component."""
    return merge(each for rule in RULES for each in rule(case))
