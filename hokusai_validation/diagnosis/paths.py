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
        return _along(one.path, one.place, place, asker)
    if place not in graph.below(one.place):
        return None
    if asker is not None and asker != one.place and asker not in graph.below(one.place):
        return None
    return "hard" if graph.breaks(one.place, place) else "soft"


def before(one: Evidence, place: str, graph: Graph) -> bool:
    """Whether the question had to pass `place` to come to the sign's place."""
    if place == one.place:
        return False
    if one.path and not one.reported:
        return (
            any(each.to == place for each in one.path)
            and _along(one.path, place, one.place, None) is not None
        )
    return one.asker != VALIDATION and (place == one.asker or place in graph.above(one.asker))


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
