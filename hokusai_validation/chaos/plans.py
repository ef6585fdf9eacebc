"""Which faults each catalogued experiment puts on: one list for the tests and for the dry run.

What breaks is the first instance, or MLflow, without which the API must go on."""

from collections.abc import Callable, Collection, Mapping

from hokusai_validation.chaos.faults.base import Fault
from hokusai_validation.chaos.faults.black_hole import BlackHole
from hokusai_validation.chaos.faults.kill import Kill
from hokusai_validation.chaos.faults.latency import Latency
from hokusai_validation.chaos.faults.refuse import Refuse
from hokusai_validation.chaos.faults.reset import ResetExisting
from hokusai_validation.target import Target

# Longer than a breaker takes to open, shorter than what a killed run may leave behind.
MLFLOW_DOWN_S = 3.0
RESET_EVERY_MS = 100
SLOWER_MS = 100
NOT_CRITICAL = ("redis", "message_queue", "mlflow")

Plan = Callable[[str, Target], tuple[Fault, ...]]


def _refuse(*dependencies: str) -> Plan:
    return lambda instance, target: tuple(Refuse(f"{instance}->{name}") for name in dependencies)


def _everything_from(instance: str, target: Target) -> tuple[Fault, ...]:
    edges = target.links.edges if target.links is not None else ()
    return tuple(BlackHole(edge) for edge in sorted(edges) if edge.startswith(f"{instance}->"))


_PLANS: Mapping[str, Plan] = {
    "C1": lambda instance, target: (Kill("mlflow", down_s=MLFLOW_DOWN_S),),
    "C2": _refuse("postgres"),
    "C3": lambda instance, target: (ResetExisting(f"{instance}->redis", every_ms=RESET_EVERY_MS),),
    "C4": _refuse("mlflow"),
    "C5": _refuse("message_queue"),
    "C6": _everything_from,
    "C7": _refuse("mlflow"),
    "C8": _refuse("mlflow"),
    "C9": _refuse("postgres", *NOT_CRITICAL),
    "C10": lambda instance, target: (),
    "C11": _refuse(*NOT_CRITICAL),
    "C12": lambda instance, target: tuple(
        Latency(f"{instance}->{name}", latency_ms=SLOWER_MS) for name in ("redis", "postgres", "mlflow")
    ),
}


def faults_of(experiment: str, target: Target, *, without: Collection[str] = ()) -> tuple[Fault, ...]:
    """The faults of a catalogued experiment, by its id; `without` leaves out links to components
    that are disabled there. Nothing for one that needs none, or where the target lists no instance."""
    if experiment not in _PLANS or not target.instances:
        return ()
    faults = _PLANS[experiment](target.instances[0].name, target)
    return tuple(fault for fault in faults if getattr(fault, "upstream", "") not in without)
