"""Names that don't resolve, or resolve to an address where no task of the service runs."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """A stale name and a missing name are two causes: the one is an old registration, the other none.
    Where none of several names resolves, the services have nothing to do with it."""
    yield from direct(case, {FactKind.NAME_STALE: Cause.NAME_STALE})
    missing = case.of(FactKind.NAME_NOT_RESOLVED)
    registered = set(case.target.aws.discovery_names) if case.target.aws else set()
    if len(registered) > 1 and registered <= {each.component for each in missing}:
        yield Hypothesis(Cause.NAME_NOT_RESOLVED, "service_discovery", missing, subject=missing[0].fact.seen)
        return
    yield from direct(case, {FactKind.NAME_NOT_RESOLVED: Cause.NAME_NOT_RESOLVED})
