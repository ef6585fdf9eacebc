"""A dependency that answers late, and thresholds that were passed."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import by_component
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """A component that a test calls slow is slow; a percentile or error rate over the alert's
    threshold, without a test that names a culprit, is an alert and no more."""
    for component, seen in by_component(case.of(FactKind.SLOW)).items():
        named = tuple(each for each in seen if each.failed and each.fact in each.row.facts)
        alert = tuple(each for each in seen if each not in named)
        if named:
            yield Hypothesis(Cause.SLOW_DEPENDENCY, component, named, subject=named[0].fact.seen)
        if alert:
            yield Hypothesis(Cause.ALERT_THRESHOLD, component, alert, subject=alert[0].fact.seen)
    for component, seen in by_component(case.of(FactKind.ERROR_RATE)).items():
        yield Hypothesis(Cause.ALERT_THRESHOLD, component, seen, subject=seen[0].fact.seen)
