"""What only a comparison shows: one instance of several that is slower than the others."""

from collections.abc import Iterator, Sequence
from statistics import median

from hokusai_validation.diagnosis.candidates import Candidate
from hokusai_validation.diagnosis.evidence import Evidence
from hokusai_validation.diagnosis.kinds import Kind
from hokusai_validation.diagnosis.scoring import Timing
from hokusai_validation.diagnosis.signs import REACH
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.report import Cause, Duty

SLOWER_MS = 150.0  # and
SLOWER_TIMES = 3.0
LEAST_SAMPLES = 4  # of each instance


def compared(evidence: Sequence[Evidence], graph: Graph) -> tuple[Candidate, ...]:
    """The candidates that comparisons propose."""
    return tuple(_slow_instances(evidence, graph))


def _slow_instances(evidence: Sequence[Evidence], graph: Graph) -> Iterator[Candidate]:
    """By operation and the address that was dialled, the medians of the instances' answers."""
    groups: dict[tuple[str, str], dict[str, list[Evidence]]] = {}
    out = {each.place for each in evidence if each.item and each.sign in REACH}
    for each in evidence:
        owner = graph.component_of(each.instance or "")
        # Who waits for a part that is out waits for its share of it, one more than the other.
        if any(edge.to in out and edge.to != owner for edge in each.path):
            continue
        if each.ok and each.steady and not each.reported and each.instance and each.elapsed_ms is not None:
            seen = groups.setdefault((each.operation, _address(each)), {})
            seen.setdefault(each.instance, []).append(each)
    slow: dict[str, list[Evidence]] = {}
    for by_instance in groups.values():
        times = {
            name: median(_times(seen))
            for name, seen in by_instance.items()
            if len(_times(seen)) >= LEAST_SAMPLES
        }
        for name, time in times.items():
            others = [other for known, other in times.items() if known != name]
            if others and time - max(others) >= SLOWER_MS and time >= SLOWER_TIMES * max(others):
                slow.setdefault(name, []).extend(by_instance[name])
    if len(slow) == 1:
        ((name, slower),) = slow.items()
        kind = Kind(Cause.SLOW_INSTANCE, frozenset())
        yield Candidate(
            Cause.SLOW_INSTANCE,
            kind,
            graph.component_of(name),
            tuple(slower),
            Timing(Duty.ALWAYS),
            instance=name,
        )


def _address(each: Evidence) -> str:
    seen = each.observation
    return f"{seen.dialled}" if seen else ""


def _times(seen: Sequence[Evidence]) -> list[float]:
    return [
        each.elapsed_ms for each in seen for _ in range(min(each.count, 50)) if each.elapsed_ms is not None
    ]
