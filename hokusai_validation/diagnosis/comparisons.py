"""What only a comparison shows, though each answer alone is good: one instance of several that is slower than
the others, and a part that all wait for who need it."""

from collections.abc import Collection, Iterator, Sequence, Set
from statistics import median

from hokusai_validation.diagnosis.candidates import Candidate
from hokusai_validation.diagnosis.evidence import VALIDATION, Evidence
from hokusai_validation.diagnosis.kinds import OF, Kind
from hokusai_validation.diagnosis.onward import leads
from hokusai_validation.diagnosis.scoring import Timing
from hokusai_validation.diagnosis.signs import REACH
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.report import Cause, Duty
from hokusai_validation.topology import Role

SLOWER_MS = 150.0  # and
SLOWER_TIMES = 3.0
LEAST_SAMPLES = 4  # of each side
SETTLED = "reported.answer"  # a question that a part had to be asked for, and how long its answer took
WAITS_MS = 1000.0  # for the next part, and
WAITS_TIMES = 5.0


def compared(
    evidence: Sequence[Evidence], graph: Graph, known: Collection[str] = ()
) -> tuple[Candidate, ...]:
    """The candidates that comparisons propose, but for those of the `known` keys."""
    unwell = {each.place for each in evidence if each.item and each.steady}
    found = (
        *_slow_instances(evidence, graph),
        *_slow_edges(evidence, graph, unwell),
        *_slow_answers(evidence, graph, unwell),
    )
    return tuple(each for each in found if each.key not in known)


def _slow_edges(evidence: Sequence[Evidence], graph: Graph, unwell: Set[str]) -> Iterator[Candidate]:
    """By component that we ask ourselves: what leads on over an edge is slow, and all else it answers is fast.
    Not where it may have waited for a part that it can do without, or for another one that is not well."""
    asked: dict[str, list[Evidence]] = {}
    for each in evidence:
        seen = each.observation
        good = each.ok and each.steady and not each.reported and each.elapsed_ms is not None
        if (
            good
            and seen is not None
            and each.asker == VALIDATION
            and seen.dialled == each.place
            and each.path
        ):
            asked.setdefault(each.place, []).append(each)
    for source, answers in sorted(asked.items()):
        plain = [each for each in answers if not any(edge.optional for edge in each.path)]
        for to in sorted({edge.to for each in plain for edge in each.path if edge.source == source}):
            if unwell & (graph.below(source) - {to}):
                continue
            over = [each for each in plain if leads(each, source, to)]
            times = _times(over), _times([each for each in plain if not leads(each, source, to)])
            if min(map(len, times)) < LEAST_SAMPLES:
                continue
            slow, fast = map(median, times)
            if slow >= max(WAITS_MS, WAITS_TIMES * fast):
                own = tuple(each for each in over if (each.elapsed_ms or 0) >= WAITS_MS)
                kind = OF[Cause.SLOW_DEPENDENCY]
                yield Candidate(Cause.SLOW_DEPENDENCY, kind, to, own, Timing(Duty.ALWAYS))


def _slow_answers(evidence: Sequence[Evidence], graph: Graph, unwell: Set[str]) -> Iterator[Candidate]:
    """A part that every instance of a component waited for where it had to ask it, which its answers to other
    questions did not take. Not where it may have waited for the cache, that is asked first."""
    waited: dict[tuple[str, str], dict[str, list[Evidence]]] = {}
    alone: dict[str, list[Evidence]] = {}
    for each in evidence:
        if not each.ok or not each.steady or each.elapsed_ms is None or each.asker is None:
            continue
        if each.operation == SETTLED:
            waited.setdefault((each.asker, each.place), {}).setdefault(each.instance or "", []).append(each)
        elif not each.reported and each.path and each.path[-1].to == each.place:
            alone.setdefault(each.place, []).append(each)  # nobody behind it can be asked for this
    for (source, to), by_instance in sorted(waited.items()):
        fast = _times(alone.get(source, ()))
        if graph.part(Role.CACHE) in unwell or len(fast) < LEAST_SAMPLES:
            continue
        times = [_times(seen) for seen in by_instance.values()]
        limit_ms = max(WAITS_MS, WAITS_TIMES * median(fast))
        if sum(map(len, times)) >= LEAST_SAMPLES and all(median(each) >= limit_ms for each in times):
            own = tuple(each for seen in by_instance.values() for each in seen)
            yield Candidate(
                Cause.SLOW_DEPENDENCY, OF[Cause.SLOW_DEPENDENCY], to, own, Timing(Duty.ALWAYS), asker=source
            )


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
