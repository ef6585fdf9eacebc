"""Hand-made rows for the tests of the diagnosis."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hokusai_validation import catalogue
from hokusai_validation.diagnosis import PhaseRows, diagnose
from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.report import Cause, Finding
from hokusai_validation.result import Phase, Result, Status
from hokusai_validation.target import Target

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def target(**parts: Any) -> Target:
    """A target that has everything that the catalogue needs."""
    whole: dict[str, Any] = {
        "name": "somewhere",
        "endpoints": {
            "registry": "https://registry.test",
            "api": "https://api.test",
            "auth": "https://auth.test",
        },
        "keys": {"good": {"env": "HOKUSAI_API_KEY"}},
        "instances": [
            {"name": "api-1", "url": "http://10.0.0.1:8001", "failpoints": "http://10.0.0.1:9001"},
            {"name": "api-2", "url": "http://10.0.0.2:8001"},
        ],
        "auth": {"url": "http://10.0.0.3:8000", "admin": "http://10.0.0.3:8000/admin"},
        "database": {"host": "10.0.0.4", "password": {"env": "DATABASE_PASSWORD"}},
        "mlflow": {"url": "http://10.0.0.5:5000", "artifact_bucket": "artifacts"},
        "redis": {"host": "10.0.0.6"},
        "aws": {
            "cluster": "stack",
            "services": {
                "api": {"service": "api-service", "target_group": "api-group"},
                "auth": {"service": "auth-service"},
                "mlflow": {"service": "mlflow-service"},
            },
            "load_balancers": ["public"],
            "namespace": "stack.local",
            "discovery_names": {"mlflow": "mlflow"},
            "rds_instance": "database",
            "database_secret": "database/credentials",
        },
        "breaker": {"path": "some.module:Breaker"},
        "links": {"url": "http://10.0.0.7:8474", "edges": {"api-1->mlflow": "api-1.mlflow"}},
        "control": {"url": "http://10.0.0.7:8475", "token": {"env": "CONTROL_TOKEN"}},
        "permissions": {"faults": ["refuse"], "load": {"max_rate": 200, "max_duration_s": 30}},
    }
    return Target.model_validate({**whole, **parts})


TARGET = target()


def row(test: str, status: Status = Status.PASSED, **fields: Any) -> Result:
    """A row of a catalogued test (its function's name will do), or of one made up."""
    entry = next(
        (each for each in catalogue.entries() if test in (each.test, each.test.rpartition("::")[2])), None
    )
    values: dict[str, Any] = {
        "run_id": "run",
        "target": "somewhere",
        "phase": entry.phase if entry else Phase.HEALTH,
        "category": entry.category if entry else "infrastructure",
        "id": entry.id if entry else "X1",
        "test": entry.test if entry else test,
        "component": TARGET.named(entry.component) if entry else "api",  # as the runner does
        "critical": entry.critical if entry else False,
        "status": status,
        "started_at": AT,
    }
    return Result.model_validate({**values, **fields})


def fact(kind: FactKind, component: str = "api", seen: str = "", via: str | None = None) -> Fact:
    """Short for a fact."""
    return Fact(kind=kind, component=component, seen=seen, via=via)


def failed(test: str, *facts: Fact, **fields: Any) -> Result:
    """A failed second attempt with facts."""
    return row(test, Status.FAILED, facts=facts, **{"attempt": 2, "message": "did not hold", **fields})


def all_passed(run_id: str = "run", **fields: Any) -> list[Result]:
    """Every catalogued test passed."""
    return [row(entry.test, run_id=run_id, **fields) for entry in catalogue.entries()]


def replaced(rows: Sequence[Result], *others: Result) -> list[Result]:
    """The rows, with others in the place of those of the same test."""
    by_test = {other.test: other for other in others}
    return [by_test.pop(each.test, each) for each in rows] + list(by_test.values())


def as_phases(
    rows: Sequence[Result], *, asked: Sequence[Phase] = tuple(Phase), at: datetime = AT
) -> list[PhaseRows]:
    """Rows as the aggregate phase hands them over."""
    phases: Mapping[Phase, list[Result]] = {phase: [] for phase in Phase}
    for each in rows:
        phases[each.phase].append(each)
    return [
        PhaseRows(
            phase=phase,
            run_id=found[0].run_id if found else "run",
            results=tuple(found),
            finished_at=at + timedelta(minutes=1),
            asked=phase in asked,
        )
        for phase, found in phases.items()
        if found or phase in asked
    ]


def findings(*rows: Result, **parts: object) -> tuple[Finding, ...]:
    return diagnose(replaced(all_passed(), *rows), target(**parts) if parts else TARGET, at=AT)


def causes(*rows: Result) -> list[tuple[Cause, str]]:
    return [(each.cause, each.component) for each in findings(*rows)]
