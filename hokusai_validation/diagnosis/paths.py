"""Where a cause lies on the way of a question: at the place that the sign is of, beyond it, or before
it."""

from collections.abc import Iterable

from hokusai_validation.diagnosis.evidence import VALIDATION, Evidence
from hokusai_validation.diagnosis.signs import REACH
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.observation import Edge


def beyond(one: Evidence, place: str, graph: Graph, *, asker: str | None = None) -> str | None:
    """`hard` or `soft` where the way leads on from the sign's place to `place` (over the edge from
    `asker`, where given), over edges that can't be done without or that can; None where it does not."""
    if place == one.place:
        return None
    if one.path and not (one.reported and one.sign not in REACH):
        found = _along(one.path, one.place, place, asker)
        # What a component repeats of one hop says nothing of the hops behind that.
        if found or not one.reported:
            return found
    if place not in graph.below(one.place):
        return None
    if asker is not None and asker != one.place and asker not in graph.below(one.place):
        return None
    return "hard" if graph.breaks(one.place, place) else "soft"


def before(one: Evidence, place: str, graph: Graph, *, asker: str | None = None) -> bool:
    """Whether the question had to pass `place` (coming from `asker`, where given) to come to the sign's
    place."""
    if place == one.place and asker is None:
        return False
    if one.path and not one.reported:
        return _passes(one.path, asker, place, one.place)
    if one.asker != VALIDATION:
        above = graph.above(one.asker) | {one.asker}
        return place in above and (asker is None or asker in above)
    # What a test made of several questions lies where those lie that failed; where none did, with one of them.
    asked = [each for each in one.row.observations if each.path]
    passing = [each for each in asked if _passes(each.path, asker, place, one.place)]
    failed = [each for each in asked if not each.ok]
    return all(each in passing for each in failed) if failed else bool(passing)


def _passes(path: tuple[Edge, ...], asker: str | None, place: str, end: str) -> bool:
    if not any(each.to == place and asker in (None, each.source) for each in path):
        return False
    return place == end or _along(path, place, end, None) is not None


def _along(path: Iterable[Edge], start: str, end: str, asker: str | None) -> str | None:
    edges = list(path)
    best: str | None = None
    queue: list[tuple[str, str, frozenset[str]]] = [(start, "hard", frozenset())]
    while queue:
        node, how, passed = queue.pop()
        for edge in edges:
            if edge.source != node or edge.to in passed:
                continue
            now = "soft" if edge.optional or how == "soft" else "hard"
            if edge.to == end and (asker is None or asker == edge.source):
                best = "hard" if "hard" in (now, best) else "soft"
            queue.append((edge.to, now, passed | {node}))
    return best
