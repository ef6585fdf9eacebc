"""The contract's alert thresholds, judged on what the rows measured. One passed is a finding, and
the verdict is at best `degraded`, also where the test's own limit is wider."""

from collections.abc import Iterable
from dataclasses import dataclass

from hokusai_validation.diagnosis.performance import performances
from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.result import Category, Result
from hokusai_validation.target import Target

HEALTH_ENDPOINTS = ("/health", "/ready", "/live", "/api/health")

# What a load test measures while it has itself put a fault on says nothing about the alert.
UNDER_FAULT = frozenset({"test_load_with_degraded_services", "test_memory_pressure_simulation"})

# Facts that are an alert wherever they are seen, also in a row that passed.
ALERT_FACTS = frozenset(
    {FactKind.CERTIFICATE_EXPIRING, FactKind.CONNECTIONS_NEAR_LIMIT, FactKind.TASK_RESTARTED}
)


@dataclass(frozen=True)
class Alert:
    """One threshold passed: a sentence, the component, the row that saw it, and the fact (seen, or
    made here of a measurement)."""

    sentence: str
    component: str
    test: str
    fact: Fact


def alerts(rows: Iterable[Result], target: Target) -> tuple[Alert, ...]:
    """Every threshold that the final attempts passed, in a fixed order."""
    found: dict[tuple[FactKind, str, str], Alert] = {}
    for row in rows:
        if not row.executed or row.category is Category.CHAOS:
            continue
        for fact in (*row.facts, *measured(row, target)):
            if fact.kind in ALERT_FACTS or fact not in row.facts:
                key = (fact.kind, fact.component, fact.seen)
                found.setdefault(key, Alert(_sentence(fact), fact.component, row.test, fact))
    return tuple(found[key] for key in sorted(found, key=lambda key: (key[0].value, key[1], key[2])))


def measured(row: Result, target: Target) -> tuple[Fact, ...]:
    """The thresholds that a row's performance figures pass, as facts."""
    if row.test.rpartition("::")[2].partition("[")[0] in UNDER_FAULT:
        return ()
    facts = []
    limits = target.alerts
    for run in performances((row,)):
        if (
            run.p99_ms is not None
            and run.p99_ms > limits.health_p99_ms
            and run.endpoint.split("?")[0].removeprefix("GET ").startswith(HEALTH_ENDPOINTS)
        ):
            seen = f"p99 of {run.endpoint} is {run.p99_ms:.0f} ms, over {limits.health_p99_ms:.0f} ms"
            facts.append(Fact(kind=FactKind.SLOW, component=row.component, seen=seen))
        if run.error_rate > limits.max_error_rate:
            seen = (
                f"{run.error_rate:.1%} of requests to {run.endpoint} failed, over {limits.max_error_rate:.1%}"
            )
            facts.append(Fact(kind=FactKind.ERROR_RATE, component=row.component, seen=seen))
    return tuple(facts)


def _sentence(fact: Fact) -> str:
    return f"{fact.component}: {fact.seen or fact.kind.value.replace('_', ' ')}"
