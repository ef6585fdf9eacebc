"""Which faults each catalogued experiment puts on: one list for the tests and for the dry run.

What breaks is the first instance, or MLflow, without which the API must go on."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from hokusai_validation.chaos.faults.base import Fault
from hokusai_validation.chaos.faults.black_hole import BlackHole
from hokusai_validation.chaos.faults.kill import Kill
from hokusai_validation.chaos.faults.latency import Latency
from hokusai_validation.chaos.faults.refuse import Refuse
from hokusai_validation.chaos.faults.reset import ResetExisting
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

# Longer than a breaker takes to open, shorter than what a killed run may leave behind.
MLFLOW_DOWN_S = 3.0
RESET_EVERY_MS = 100
SLOWER_MS = 100
NOT_CRITICAL = (Role.CACHE, Role.QUEUE, Role.TRACKING_SERVER)

Plan = Callable[[str, Target], tuple[Fault, ...]]


def _edges(instance: str, target: Target, dependencies: Iterable[Role]) -> Iterator[str]:
    return (f"{instance}->{target.named(role)}" for role in dependencies)


def _refuse(*dependencies: Role) -> Plan:
    return lambda instance, target: tuple(map(Refuse, _edges(instance, target, dependencies)))


def _everything_from(instance: str, target: Target) -> tuple[Fault, ...]:
    edges = target.links.edges if target.links is not None else ()
    return tuple(BlackHole(edge) for edge in sorted(edges) if edge.startswith(f"{instance}->"))


_PLANS: Mapping[str, Plan] = {
    "C1": lambda instance, target: (Kill(target.named(Role.TRACKING_SERVER), down_s=MLFLOW_DOWN_S),),
    "C2": _refuse(Role.DATABASE),
    "C3": lambda instance, target: tuple(
        ResetExisting(edge, every_ms=RESET_EVERY_MS) for edge in _edges(instance, target, (Role.CACHE,))
    ),
    "C4": _refuse(Role.TRACKING_SERVER),
    "C5": _refuse(Role.QUEUE),
    "C6": _everything_from,
    "C7": _refuse(Role.TRACKING_SERVER),
    "C8": _refuse(Role.TRACKING_SERVER),
    "C9": _refuse(Role.DATABASE, *NOT_CRITICAL),
    "C10": lambda instance, target: (),
    "C11": _refuse(*NOT_CRITICAL),
    "C12": lambda instance, target: tuple(
        Latency(edge, latency_ms=SLOWER_MS)
        for edge in _edges(instance, target, (Role.CACHE, Role.DATABASE, Role.TRACKING_SERVER))
    ),
}


def faults_of(experiment: str, target: Target, *, without: Collection[str] = ()) -> tuple[Fault, ...]:
    """The faults of a catalogued experiment, by its id; `without` leaves out links to parts
    (by their roles) that are disabled there. Nothing for one that needs none, or where the target lists no instance."""
    if experiment not in _PLANS or not target.instances:
        return ()
    faults = _PLANS[experiment](target.instances[0].name, target)
    names = {target.named(part) for part in without}
    return tuple(fault for fault in faults if getattr(fault, "upstream", "") not in names)
