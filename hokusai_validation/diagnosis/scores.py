"""Five scores between 0 and 1; None where there was nothing to count."""

from collections.abc import Iterable, Mapping, Sequence

from hokusai_validation.diagnosis.rows import injects, was_selected
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.report import Scores
from hokusai_validation.result import Category, Result, Status, final_attempts
from hokusai_validation.target import Target

# The registration's nine stages, and the eleven infrastructure checks, stand in the catalogue as the
# cases of these classes.
REGISTRATION_CLASS = "TestModelRegistration"
INFRASTRUCTURE_CLASS = "TestInfrastructure"

_NOT_AT_REST = (Category.LOAD, Category.CHAOS, Category.UNIT)


def scores(rows: Sequence[Result], target: Target) -> Scores:
    """The scores of a run's rows (all attempts; the last one of each test counts)."""
    final = final_attempts(rows)
    selected = [row for row in final if was_selected(row)]
    executed = [row for row in selected if row.executed]
    return Scores(
        infrastructure_health=_passed_of(_of_class(selected, INFRASTRUCTURE_CLASS)),
        service_availability=_share(list(service_health(selected, target).values())),
        execution_completion=len(executed) / len(selected) if selected else None,
        test_success=_passed_of(executed),
        registration_success=_passed_of(_of_class(selected, REGISTRATION_CLASS)),
    )


def service_health(rows: Iterable[Result], target: Target) -> Mapping[str, bool]:
    """Deployed component → whether it is healthy: no critical test that puts no fault on failed over
    it (as the test's facts say, or as the catalogue names the test's component). Load and chaos say
    how it bears stress, not whether it is up, so they do not count; a component that no test judged
    is left out."""
    graph = Graph(target)
    judged: dict[str, bool] = {}
    for row in rows:
        if not row.executed or row.category in _NOT_AT_REST or injects(row):
            continue
        bad: set[str] = set()
        if row.status is Status.FAILED and row.critical:
            bad = {graph.component_of(fact.component) for fact in row.facts} or {row.component}
        for name in {row.component, *bad}:
            component = target.topology.get(name)
            if component is not None and component.deployed:
                judged[name] = judged.get(name, True) and name not in bad
    return dict(sorted(judged.items()))


def _of_class(rows: Iterable[Result], name: str) -> list[Result]:
    return [row for row in rows if row.test.partition("::")[0] == name]


def _passed_of(rows: Sequence[Result]) -> float | None:
    """What was not executed counts as not passed: a stage that was never reached did not succeed."""
    return _share([row.status is Status.PASSED for row in rows])


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None
