"""A failure, read at the edge that it is of: who only waits for the next one, or answers for it, is not to
blame."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from statistics import median

from hokusai_validation.diagnosis.evidence import Evidence
from hokusai_validation.diagnosis.signs import GATEWAY, HOP, Refined
from hokusai_validation.observation import Edge
from hokusai_validation.observation import ErrorClass as E

REFUSED_FROM = 400  # a refusal, though promised, may have come from any hop
SLOW_ANSWER_MS = 250.0  # at least, to call what times out slow rather than broken at times
BY_CHANCE = 0.05
# Questions that are not put to the component itself: their good answers say nothing of its connections.
_ABOUT = frozenset({"aws.state", "state", "dns.resolve", "dns.resolve.ipv6", "tls.certificate"})


def silent(each: Evidence, good: Mapping[str, Sequence[Evidence]]) -> Evidence:
    """A question that was never answered, read at the first part of its way that is to blame: one that
    answers whatever does not lead on, and nothing that does, only waits for the next."""
    if each.sign is not E.READ_TIMEOUT or not each.item or not each.steady or each.reported or each.repeated:
        return each
    slow = _slow_edge(each, good)
    if slow is not None:
        return replace(each, place=slow.to, asker=slow.source, last_hop=False, origin=each)
    place, asker, passed = each.place, each.asker, {each.place}
    while True:
        well = [one for one in good.get(place, ()) if one.asker == asker]
        following = [
            edge.to
            for edge in each.path
            if edge.source == place and not edge.optional and edge.to not in passed
        ]
        if not well or not following:
            break
        later = [one for one in well if one.last >= each.first]
        if any(not leads(one, place, following[0]) for one in later):
            well = later  # what went over the edge before may have had a connection that was kept
        needing = any(leads(one, place, following[0]) for one in well)
        place, asker = following[0], place
        passed.add(place)
        if not needing:
            return replace(each, place=place, asker=asker, last_hop=False, origin=each)
    if place == each.place or any(one.asker == asker for one in good.get(place, ())):
        return each  # all of its way answers others
    return replace(each, place=place, asker=asker, last_hop=False, origin=each)


def gateway_edges(evidence: Sequence[Evidence]) -> set[tuple[str, str]]:
    """The edges that gateway answers are of: whatever leads on over one meets them (always, or a share
    of it), and so much else was answered well by the same component that chance is no explanation."""
    over: dict[tuple[str, str], list[Evidence]] = {}
    for each in evidence:
        for edge in each.path if _of_a_gateway(each) else ():
            if edge.source == each.place and not edge.optional:
                over.setdefault((edge.source, edge.to), []).append(each)
    return {edge for edge, bad in over.items() if _is_of_edge(edge, bad, evidence)}


def _is_of_edge(edge: tuple[str, str], bad: Sequence[Evidence], evidence: Sequence[Evidence]) -> bool:
    """Whether an edge tells what is answered badly from what is answered well."""
    source, to = edge
    good_over = good_without = 0
    for each in evidence:
        # What leads over an edge passes everything before it.
        passes = each.place == source or any(one.to == source for one in each.path)
        if not passes or not each.steady or each.reported or of_a_witness(each):
            continue
        if each.ok and (each.status or 0) < REFUSED_FROM:
            if leads(each, source, to):
                good_over += each.count
            else:
                good_without += each.count
        elif _of_a_gateway(each) and each.place == source and not leads(each, source, to):
            # What leads on elsewhere only may fail there.
            others = _asked_next(each, source)
            if not others or any(others & _asked_next(one, source) for one in bad):
                return False
    failed = sum(each.count for each in bad)
    # That all of a failure of anything, seen so often, fell on what leads over the edge.
    over = failed + good_over
    return len({each.operation for each in bad}) > 1 and (over / (over + good_without)) ** failed <= BY_CHANCE


def _of_a_gateway(each: Evidence) -> bool:
    """Whether a component answered for somebody behind it (or passed on what a stranger between them
    answered), and did not say how that one failed."""
    seen = each.observation
    if seen is None or not each.item or not each.steady or each.reported:
        return False
    return (each.foreign and each.sign in HOP) or (
        seen.answered_by in (each.place, each.instance) and each.sign in GATEWAY
    )


def onward(each: Evidence, edges: Set[tuple[str, str]]) -> Evidence:
    """A gateway's answer, read at the edge that it is of."""
    if not _of_a_gateway(each):
        return each
    for edge in each.path:
        if edge.source == each.place and (edge.source, edge.to) in edges:
            return replace(
                each,
                sign=Refined.NEXT_FAILED,
                place=edge.to,
                asker=edge.source,
                last_hop=False,
                origin=each.origin or each,
            )
    return each


def _slow_edge(each: Evidence, good: Mapping[str, Sequence[Evidence]]) -> Edge | None:
    """The last edge of the way over which good answers are slow, while those without it are fast."""
    found = None
    for edge in each.path[1:]:
        if edge.optional:
            continue
        asked = [one for one in good.get(edge.source, ()) if one.elapsed_ms is not None and not one.reported]
        over = [one.elapsed_ms for one in asked if one.elapsed_ms and leads(one, edge.source, edge.to)]
        without = [one.elapsed_ms for one in asked if one.elapsed_ms and not leads(one, edge.source, edge.to)]
        if over and without and median(over) >= max(SLOW_ANSWER_MS, 3 * median(without)):
            found = edge
    return found


def _asked_next(one: Evidence, source: str) -> set[str]:
    """Whom a component may have asked for a question."""
    return {edge.to for edge in one.path if edge.source == source}


def leads(one: Evidence, source: str, to: str) -> bool:
    return any(edge.source == source and edge.to == to for edge in one.path)


def of_a_witness(each: Evidence) -> bool:
    """Whether somebody else was asked about the place: AWS's control plane answers as well when it is out."""
    seen = each.observation
    of_aws = seen is not None and seen.subject is not None and each.operation.startswith("aws.")
    return of_aws or each.operation in _ABOUT
