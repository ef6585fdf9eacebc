"""The smallest set of causes that explains what went wrong.

Each cause explains what bears its own sign, what the table says it makes near it, and what it makes of
those whose work leads on to it (`quality`). What no cause explains stays unknown. Of several smallest
sets the one that fits best is taken, then the deeper, then the first by name: spectrum-based diagnosis
of multiple faults (Abreu, Zoeteweij, van Gemund: Barinel, ASE 2009), with a table in place of learnt
rates."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import combinations
from typing import TypeAlias

from hokusai_validation.diagnosis.candidates import Candidate
from hokusai_validation.diagnosis.evidence import Evidence
from hokusai_validation.diagnosis.paths import before, beyond
from hokusai_validation.diagnosis.scoring import log_likelihood
from hokusai_validation.diagnosis.signs import HARD, HOP, NEVER_MISJUDGED, REACH, SLOWER
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.facts import FactKind
from hokusai_validation.observation import ErrorClass
from hokusai_validation.report import Cause, Duty
from hokusai_validation.topology import Role

MOST_TOGETHER = 4  # causes that are looked for at once, beside those that nothing else can stand for
MOST_CANDIDATES = 24  # of which sets are tried; beyond, the best one first
Qualities: TypeAlias = Mapping[Candidate, Mapping[int, float]]
SERVER_ERROR_FROM = 500
FOR_ANOTHER = frozenset({502, 503, 504})  # a gateway answers them for whoever it asked (RFC 9110, 15.6)
POINTED, VAGUE = 0.8, 0.35
DOUBT, MOST_DOUBTS = 0.05, 10
OWN, NEAR, HARD_WAY, BEHIND, SOFT_WAY, MISJUDGED = 1.0, 0.7, 0.5, 0.45, 0.4, 0.3


@dataclass
class Explanation:
    """A cause that stands: the evidence that it explains, with how well, and the candidates that
    follow from it. `rivals`: others that would explain all of its own signs."""

    candidate: Candidate
    explains: dict[Evidence, float] = field(default_factory=dict)
    effects: list[Candidate] = field(default_factory=list)
    rivals: int = 0


def quality(cause: Candidate, one: Evidence, graph: Graph) -> float:
    """How well a cause explains a piece of evidence; 0 where not at all."""
    if one in cause.own:
        return OWN if not one.repeated else POINTED
    if one.sign is None:
        return 0.0
    if one.vague:
        near = graph.above(one.place) | graph.below(one.place) | {one.place}
        near |= {edge.to for seen in one.row.observations for edge in seen.path}
        elsewhere = all(each.dialled not in graph for each in one.row.observations)
        makes = cause.kind.behind or one.sign in cause.kind.soft | cause.kind.near
        makes |= one.sign in REACH and bool(cause.kind.near & HOP)  # unreachable for one, for another too
        return VAGUE if makes and (cause.place in near or elsewhere) else 0.0
    if cause.instance and one.instance and cause.instance != one.instance:
        return 0.0
    if not cause.timing.holds(one, consequence=True):
        return 0.0
    kind, place = cause.kind, cause.place
    status = one.status or 0
    failed = status >= SERVER_ERROR_FROM and status not in FOR_ANOTHER
    failed_itself = failed and one.sign is FactKind.UNEXPECTED_STATUS
    if failed_itself and not kind.behind and ErrorClass.SERVER_ERROR not in kind.own | kind.near | kind.soft:
        return 0.0
    if not one.steady:
        return MISJUDGED if _misjudged(cause, one, graph) else _at(cause, one)
    if found := _at(cause, one):
        return found
    if one.sign is FactKind.HEALTH_CLAIMS_WELL and place == one.place and kind.behind:
        # One who has it at times, or has it where others don't, does not tell an untruth.
        some = cause.asker is not None or cause.timing.duty is not Duty.ALWAYS or not kind.every
        return NEAR if some else 0.0
    if one.repeated and one.sign not in kind.own | kind.near:
        return 0.0
    ways = [beyond(one, each, graph, asker=cause.asker) for each in sorted(cause.met_at)]
    way = "hard" if "hard" in ways else next((each for each in ways if each), None)
    if way and graph.part(Role.QUEUE) == one.place and one.sign in kind.own | kind.near:
        return HARD_WAY  # a queue is connections of its own to what it lies in
    if way and one.repeated and kind.every:
        return POINTED
    if way == "hard" and one.sign in kind.hard:
        return HARD_WAY
    # What a component says of another may repeat an answer to any of its questions.
    if way and one.sign in (kind.soft | kind.hard if one.reported else kind.soft):
        # A target is taken out by failures one after the other.
        some = cause.timing.duty is Duty.SHARE and one.sign is FactKind.TARGET_UNHEALTHY
        return 0.0 if some else SOFT_WAY
    if one.sign is ErrorClass.WRONG_FORM and kind.soft and graph.is_optional(place):
        # What comes from a part that can be done without is left out of the answer.
        asked = {edge.to for seen in one.row.observations for edge in seen.path if edge.optional}
        return SOFT_WAY if one.fact is not None and place in asked else 0.0
    if kind.behind and one.sign in REACH | HARD | SLOWER and before(one, place, graph, asker=cause.asker):
        return BEHIND if _misses(cause, one) else 0.0
    return BEHIND if one.sign in kind.instead and before(one, place, graph) else 0.0


def _misses(cause: Candidate, one: Evidence) -> bool:
    """Whether a cause keeps its place from asking where the evidence is: one of several that can't reach
    a part reaches the others, and who says itself that another one failed was there, and asked."""
    if cause.cause is not Cause.BAD_INSTANCE:
        return not (one.reported and one.observation is not None and one.asker == cause.place)
    return not _missed(cause) or one.place in _missed(cause)


def _missed(cause: Candidate) -> Set[str]:
    """The parts that one of several can't reach."""
    found = {each.place for each in cause.signs} if cause.cause is Cause.BAD_INSTANCE else set()
    return found - {cause.place}


def _at(cause: Candidate, one: Evidence) -> float:
    """At the same place, of the same asker and the same operation where the cause has one."""
    met_at = cause.met_at | (_missed(cause) if one.asker == cause.place else set())
    if one.repeated or one.place not in met_at or one.sign not in cause.kind.near | cause.kind.own:
        return 0.0
    if cause.asker is not None and one.asker != cause.asker and one.observation is not None:
        return 0.0  # who asked for what a test made of several questions is not known
    if cause.operation and one.operation not in ("", cause.operation):
        return 0.0
    return NEAR


def _misjudged(cause: Candidate, one: Evidence, graph: Graph) -> bool:
    """What a test that puts faults on sees amiss when something was out before it began."""
    if not cause.steady or one.sign in NEVER_MISJUDGED:
        return False
    related = graph.below(one.row.component) | {one.row.component}
    related |= {edge.to for seen in one.row.observations for edge in seen.path}
    if not cause.kind.behind:
        # What answers, and not as it should, harms those who stand on it.
        return bool(cause.kind.soft) and cause.place in related
    related |= graph.below(one.place) | graph.above(one.place) | {one.place}
    return cause.place in related


def explain(
    items: Sequence[Evidence], proposed: Sequence[Candidate], graph: Graph
) -> tuple[tuple[Explanation, ...], tuple[Evidence, ...]]:
    """The causes that stand, each with what it explains, and what none of them does."""
    quality_of = {
        cause: {number: found for number, one in enumerate(items) if (found := quality(cause, one, graph))}
        for cause in proposed
    }
    chosen = _smallest(quality_of, graph)
    standing = {cause: Explanation(cause) for cause in sorted(chosen, key=lambda each: each.key)}
    for number, one in enumerate(items):
        best = max(
            (cause for cause in chosen if number in quality_of[cause]),
            key=lambda cause: (quality_of[cause][number], graph.depth(cause.place), cause.key),
            default=None,
        )
        if best is not None:
            standing[best].explains[one] = quality_of[best][number]
    explained = {number for cause in chosen for number in quality_of[cause]}
    number_of = {one: number for number, one in enumerate(items)}
    for cause in proposed:
        own = {number_of[each] for each in cause.own if each in number_of}
        if cause in chosen:
            standing[cause].rivals = sum(
                other is not cause and own <= set(quality_of[other]) for other in proposed
            )
            continue
        origins = [each for each in chosen if own & set(quality_of[each])]
        if origins:
            first = max(
                origins,
                key=lambda each: (len(own & set(quality_of[each])), graph.depth(each.place), each.key),
            )
            standing[first].effects.append(cause)
    return tuple(standing.values()), tuple(one for number, one in enumerate(items) if number not in explained)


def _smallest(quality_of: Qualities, graph: Graph) -> tuple[Candidate, ...]:
    """Those that alone explain something, and the smallest set that explains the rest."""
    masks = {cause: sum(1 << number for number in found) for cause, found in quality_of.items() if found}
    whole = 0
    for mask in masks.values():
        whole |= mask
    chosen: list[Candidate] = []
    covered = 0
    while True:
        needed = _essential(masks, whole & ~covered)
        if not needed:
            break
        chosen += [each for each in needed if each not in chosen]
        for each in needed:
            covered |= masks[each]
        masks = {cause: mask for cause, mask in masks.items() if cause in chosen or mask & ~covered}
    rest = whole & ~covered
    if rest:
        chosen += _cover(
            {cause: mask & rest for cause, mask in masks.items() if cause not in chosen and mask & rest},
            rest,
            quality_of,
            graph,
        )
    return tuple(chosen)


def _essential(masks: Mapping[Candidate, int], open_: int) -> list[Candidate]:
    """The candidates of which some open item has no other."""
    once, twice = 0, 0
    for mask in masks.values():
        twice |= once & mask
        once |= mask
    single = once & ~twice & open_
    return [cause for cause, mask in masks.items() if mask & single]


def _cover(masks: Mapping[Candidate, int], rest: int, quality_of: Qualities, graph: Graph) -> list[Candidate]:
    def rank(found: tuple[Candidate, ...]) -> tuple[float, int, tuple[str, ...]]:
        fit = sum(
            max(quality_of[cause].get(number, 0.0) for cause in found)
            for number in range(rest.bit_length())
            if rest >> number & 1
        )
        fit += sum(log_likelihood(cause.timing) for cause in found) / 10
        fit -= sum(min(cause.doubts, MOST_DOUBTS) * DOUBT for cause in found)
        return (
            -round(fit, 6),
            -sum(graph.depth(cause.place) for cause in found),
            tuple(cause.key for cause in found),
        )

    ordered = sorted(masks, key=lambda cause: (-masks[cause].bit_count(), rank((cause,)), cause.key))
    tried = ordered[:MOST_CANDIDATES]
    for size in range(1, MOST_TOGETHER + 1):
        fitting: list[tuple[Candidate, ...]] = [
            found for found in combinations(tried, size) if _joined(masks, found) & rest == rest
        ]
        if fitting:
            return list(sorted(fitting, key=rank)[0])
    chosen: list[Candidate] = []
    while rest:
        best = max(ordered, key=lambda cause: ((masks[cause] & rest).bit_count(), -ordered.index(cause)))
        if not masks[best] & rest:
            break
        chosen.append(best)
        rest &= ~masks[best]
    return chosen


def _joined(masks: Mapping[Candidate, int], found: Sequence[Candidate]) -> int:
    joined = 0
    for cause in found:
        joined |= masks[cause]
    return joined
