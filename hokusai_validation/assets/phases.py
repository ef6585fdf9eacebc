"""The six phases that test, as a table: what their assets say of themselves, each after the one above it."""

from dataclasses import dataclass

from hokusai_validation.result import Phase


@dataclass(frozen=True)
class PhaseAsset:
    """One row. `team` owns the asset; `kinds` are the marks that the UI shows beside it."""

    phase: Phase
    team: str
    kinds: frozenset[str]
    description: str
    after: Phase | None = None


PHASE_ASSETS = (
    PhaseAsset(
        Phase.ENVIRONMENT,
        "infrastructure",
        frozenset({"pytest", "aws"}),
        "Credentials, versions, names, TLS, the task definition against what was declared, and what is deployed.",
    ),
    PhaseAsset(
        Phase.DISCOVERY,
        "infrastructure",
        frozenset({"pytest", "aws"}),
        "ECS services and tasks, Cloud Map, load balancer rules, target health, RDS, and whether each service"
        " reaches the others.",
        after=Phase.ENVIRONMENT,
    ),
    PhaseAsset(
        Phase.HEALTH,
        "api",
        frozenset({"pytest", "http"}),
        "The infrastructure checks and the health endpoints, each in the state that it must tell truthfully.",
        after=Phase.DISCOVERY,
    ),
    PhaseAsset(
        Phase.FUNCTIONAL,
        "ml-platform",
        frozenset({"pytest", "mlflow"}),
        "Authentication, model registration, database, MLflow, and the circuit breaker held to its contract.",
        after=Phase.HEALTH,
    ),
    PhaseAsset(
        Phase.LOAD,
        "platform",
        frozenset({"pytest", "http"}),
        "The service under load: latency from the intended send time, throughput, errors.",
        after=Phase.FUNCTIONAL,
    ),
    PhaseAsset(
        Phase.CHAOS,
        "platform",
        frozenset({"pytest", "toxiproxy"}),
        "Real faults, proven to have taken effect, undone, and recovery timed.",
        after=Phase.LOAD,
    ),
)
