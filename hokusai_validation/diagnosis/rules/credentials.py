"""How the database is logged in to: as another user than promised, with a password that is
refused, or with one that was changed after the tasks had started."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import by_component
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause

DATABASE = "postgres"


def rule(case: Case) -> Iterator[Hypothesis]:
    """A wrong user is refused for its password too, so a user that differs explains the refusal. A
    secret that is newer than the tasks is the cause only where something was refused, too: changed
    and not yet needed is a finding of lower weight."""
    wrong_user = case.of(FactKind.WRONG_DATABASE_USER)
    for component, evidence in by_component(wrong_user).items():
        yield Hypothesis(Cause.WRONG_DATABASE_USER, component, evidence, subject=evidence[0].fact.seen)
    newer = case.of(FactKind.SECRET_NEWER_THAN_TASKS)
    refused = case.of(FactKind.PASSWORD_REFUSED, where=lambda sighting: sighting.steady)
    if newer:
        component = refused[0].component if refused else newer[0].component
        yield Hypothesis(
            Cause.SECRET_NEWER_THAN_TASKS, component, newer + refused, subject=newer[0].fact.seen
        )
        return
    for component, evidence in by_component(refused).items():
        yield Hypothesis(Cause.PASSWORD_REFUSED, component, evidence, subject=evidence[0].fact.seen)
