"""Possible causes: for every sign that a kind can be told by, where it holds (a component, the edge
from one asker, one instance of several), and when."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import TypeAlias

from hokusai_validation.diagnosis.evidence import VALIDATION, Evidence
from hokusai_validation.diagnosis.kinds import GENERAL, LIMITS, OF, UNWELL, Kind, proposed_by
from hokusai_validation.diagnosis.onward import (
    REFUSED_FROM,
    SLOW_ANSWER_MS,
    gateway_edges,
    of_a_witness,
    onward,
    silent,
)
from hokusai_validation.diagnosis.scoring import Timing, closed_while_idle, in_turn, timing
from hokusai_validation.diagnosis.signs import GATEWAY, OUT, REACH, TLS, Refined
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.facts import FactKind as F
from hokusai_validation.observation import ErrorClass as E
from hokusai_validation.report import Cause, Duty
from hokusai_validation.topology import Role

REDIRECTED_FROM = 300
MIXED_SHARE = 0.25  # of the failures: so many may be of operations that work at times
LEAST_CONSTANT = 2  # failures of an operation, on average, to say that it fails always
NEARLY_ALL = 0.9  # of what is asked fails: it is out
# What one of several last knew of a part may be of chance; asked again, it knows better.
CLAIMS_SPAN_S = 1.0
# Of these every instance was asked, so that one alone is one of several.
_LISTED = frozenset({F.COMMIT_UNEXPECTED, F.TARGET_UNHEALTHY})
# What a component met on the way of a question, and the answer that it had to ask another for.
_MET = frozenset({"reported.error", "reported.answer", "reported.log"})
_PROBES = frozenset({"live", "health", "ready", "version"})
_CLOSED = frozenset({Refined.HOP_FAILED, E.RESET, E.CLOSED_EARLY})
_VAGUE = {Cause.NOT_ANSWERING: 1, Cause.UNREACHABLE: 2}  # how little they say
_SERVER_SIDE = GATEWAY | {E.SERVER_ERROR}


Groups: TypeAlias = dict[tuple[Cause, str, str], tuple[Kind, list[Evidence]]]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A cause that may hold at `place`. `asker`: the one that is without it, while others have it;
    `owner`: whose instance `instance` is."""

    cause: Cause
    kind: Kind
    place: str
    signs: tuple[Evidence, ...]
    timing: Timing
    asker: str | None = None
    instance: str | None = None
    operation: str = ""
    doubts: int = 0  # good answers that came over the place, if it was not done without

    @property
    def key(self) -> str:
        """Identifies the same finding across runs."""
        parts = [self.cause.value, self.place]
        if self.operation:
            parts.append(self.operation)
        return ":".join(parts)

    @cached_property
    def own(self) -> frozenset[Evidence]:
        """Its signs as they were seen."""
        return frozenset(each.origin or each for each in self.signs)

    @cached_property
    def met_at(self) -> frozenset[str]:
        """Where it is met: its place, and what is at whoever asks also where that one asks."""
        return frozenset({self.place, *(each.place for each in self.signs if self.kind.at_asker)})

    @property
    def steady(self) -> bool:
        """Whether any of it was seen while no fault of ours was on."""
        return any(each.steady for each in self.signs)


def candidates(evidence: Sequence[Evidence], graph: Graph) -> tuple[Candidate, ...]:
    """Every cause that something seen proposes; one for each key."""
    good = _witnesses(evidence)
    blamed = gateway_edges(evidence)
    groups: Groups = {}
    for one in evidence:
        for kind, place, each in _proposals(onward(silent(one, good), blamed), graph):
            operation = each.operation if kind.cause is Cause.WRONG_STATUS else ""
            groups.setdefault((kind.cause, place, operation), (kind, []))[1].append(each)
    _changed_secrets(groups)
    doubts = _doubts(evidence)
    passed = _passed_over(evidence)
    claims = _claims(evidence)
    found: dict[str, Candidate] = {}
    for (_, place, operation), (kind, signs) in sorted(groups.items(), key=lambda item: item[0]):
        for cause in _located(
            kind,
            place,
            operation,
            tuple(signs),
            good.get(place, []),
            passed.get(place, []),
            claims.get(place, []),
            graph,
            # A queue, say, is reached in what it lies in.
            reached=any(
                each.asker == VALIDATION
                for at in {place, *graph.below(place)}
                for each in good.get(at, ())
                if not of_a_witness(each)
            ),
        ):
            known = found.get(cause.key)
            cause = replace(cause, doubts=cause.doubts + doubts.get(place, 0))
            found[cause.key] = cause if known is None else _merged(known, cause)
    _joined_askers(found)
    return tuple(found[key] for key in sorted(found))


def _joined_askers(found: dict[str, Candidate]) -> None:
    """Of one place: where one component only waits for it, or says nothing of how it failed, and another
    tells how, it is out for both in the way that is told."""
    reach = [each for each in found.values() if each.kind.every and {one.sign for one in each.signs} <= REACH]
    for vague in [each for each in reach if each.cause in _VAGUE]:
        for told in [each for each in reach if each.place == vague.place]:
            told = found[told.key]
            if _VAGUE.get(told.cause, 0) >= _VAGUE[vague.cause]:
                continue
            if vague.cause is Cause.UNREACHABLE or (
                _of_one(vague) and _of_one(told) and told.asker != vague.asker
            ):
                found[told.key] = _merged(told, vague)


def _of_one(cause: Candidate) -> bool:
    """Whether one component of the stack alone is without its place."""
    return cause.asker not in (None, VALIDATION)


def _witnesses(evidence: Sequence[Evidence]) -> dict[str, list[Evidence]]:
    """Component → the good answers that speak for it: its own, and those that had to come from it by
    an edge that can't be done without."""
    good: dict[str, list[Evidence]] = {}
    for each in evidence:
        if not each.ok or not each.steady or (each.status or 0) >= REFUSED_FROM:
            continue
        good.setdefault(each.place, []).append(each)
        # A redirect is answered by whoever stands first: it never came further.
        for edge in each.path if (each.status or 0) < REDIRECTED_FROM else ():
            if not edge.optional and edge.to != each.place:
                good.setdefault(edge.to, []).append(replace(each, asker=edge.source, place=edge.to))
    return good


def _passed_over(evidence: Iterable[Evidence]) -> dict[str, list[Evidence]]:
    """Component → what went wrong there in tests that did not mind."""
    found: dict[str, list[Evidence]] = {}
    for each in evidence:
        if not each.ok and not each.item and each.steady:
            found.setdefault(each.place, []).append(each)
    return found


def _claims(evidence: Iterable[Evidence]) -> dict[str, list[Evidence]]:
    """Component → what others said of it, good and bad."""
    found: dict[str, list[Evidence]] = {}
    for each in evidence:
        if _a_claim(each) and each.steady:
            found.setdefault(each.place, []).append(each)
    return found


def _doubts(evidence: Iterable[Evidence]) -> dict[str, int]:
    """Component → how many good answers may have come over it."""
    found: dict[str, int] = {}
    for each in evidence:
        if each.ok and each.steady and (each.status or 0) < REFUSED_FROM:
            for place in {edge.to for edge in each.path if edge.optional}:
                found[place] = found.get(place, 0) + 1
    return found


def _changed_secrets(groups: Groups) -> None:
    """A secret that is newer than the tasks is at whoever refuses them for it; refused by nobody, it
    stays where it is kept."""
    refused = sorted(key[1] for key in groups if key[0] is Cause.PASSWORD_REFUSED)
    newer = [key for key in groups if key[0] is Cause.SECRET_NEWER_THAN_TASKS]
    for key in newer if refused else []:
        kind, signs = groups.pop(key)
        held = groups.setdefault((key[0], refused[0], ""), (kind, []))[1]
        held += [each for each in signs if each not in held]


def _merged(one: Candidate, other: Candidate) -> Candidate:
    """Two of one key as one: an instance or asker that they don't share is no longer said; it holds from
    the first of them on."""
    timed = max(one.timing, other.timing, key=_weight)
    if timed.duty is Duty.ALWAYS:
        began = [each.timing.began for each in (one, other) if each.timing.began is not None]
        timed = replace(timed, began=min(began) if len(began) == 2 else None)
    return replace(
        one,
        signs=tuple(dict.fromkeys((*one.signs, *other.signs))),
        timing=timed,
        asker=one.asker if one.asker == other.asker else None,
        instance=one.instance if one.instance == other.instance else None,
    )


def _proposals(each: Evidence, graph: Graph) -> Iterator[tuple[Kind, str, Evidence]]:
    """The kinds that a piece of evidence proposes, where, and as what it is read there."""
    sign = each.sign
    if sign is None or not each.item or each.vague:
        return
    if each.repeated:
        yield from _behind(each, graph)
        return
    if not graph.is_deployed(each.place) and (sign in REACH or sign is F.SERVICE_UNHEALTHY):
        yield OF[Cause.OPTIONAL_REQUIRED], each.place, each
        return
    if not each.steady and isinstance(sign, E):
        silent = sign in (E.READ_TIMEOUT, E.CONNECT_TIMEOUT) and each.operation in _PROBES
        if silent:
            yield OF[Cause.EVENT_LOOP_BLOCKED], each.place, each
        elif sign not in REACH:
            yield OF[Cause.WRONG_STATUS], each.place, each
        return
    if sign is F.SERVICE_UNHEALTHY:
        yield UNWELL, each.place, each
    for kind in proposed_by(sign):
        yield kind, each.asker if kind.at_asker and each.asker in graph else each.place, each


def _a_claim(each: Evidence) -> bool:
    """Whether a component says it of another without having been asked for that one's work: what was met
    on the way of a question is none."""
    return each.reported and each.operation not in _MET


def _behind(each: Evidence, graph: Graph) -> Iterator[tuple[Kind, str, Evidence]]:
    """Whoever the place asks on the way of the question may be the one that it could not reach, unless
    it can do without."""
    if each.sign is None or not each.steady:
        return
    for edge in each.path:
        if edge.source == each.place and not graph.is_optional(edge.to):
            read = replace(each, place=edge.to, asker=each.place, last_hop=False, origin=each)
            for kind in proposed_by(each.sign):
                yield kind, edge.to, read


def _located(
    kind: Kind,
    place: str,
    operation: str,
    signs: tuple[Evidence, ...],
    good: Sequence[Evidence],
    passed: Sequence[Evidence],
    claims: Sequence[Evidence],
    graph: Graph,
    *,
    reached: bool,
) -> Iterator[Candidate]:
    """The candidate of a kind at a place, narrowed to an instance or an asker where others are well."""
    witnesses = [each for each in good if any(_compares(each, sign) for sign in signs)]
    kinds_of_sign = {each.sign for each in signs}
    all_bad = (*signs, *(each for each in passed if each.sign in kinds_of_sign))
    lone = _lone_instance(place, all_bad, witnesses, graph)
    if lone is not None:
        instance, owner = lone
        own = [each for each in witnesses if each.instance == instance]
        found = timing(signs, own)
        if (owner != place and kind.every) or kind is UNWELL:
            yield _converted(
                Candidate(
                    Cause.BAD_INSTANCE, replace(kind, every=False), owner, signs, found, instance=instance
                ),
                own,
            )
        else:
            alone = Candidate(kind.cause, kind, place, signs, found, instance=instance, operation=operation)
            yield _converted(alone, own)
        others = [each for each in witnesses if each.instance not in (None, instance) and each.asker == owner]
        if owner == place or not (kind.every and kinds_of_sign <= REACH and all(map(_a_claim, others))):
            return
        # What the others say of it may come over connections that they kept: all may be without it.
        count = sum(each.count for each in others)
        only = _only_asker(frozenset({owner}), signs, witnesses)
        yield Candidate(kind.cause, kind, place, signs, found, asker=only, doubts=count)
        return
    turned = _one_in_turn(place, kind, all_bad, witnesses, claims, graph)
    if turned is not None:
        yield turned
        return
    if kind is UNWELL and not reached:
        return
    askers = frozenset(each.asker for each in signs)
    only = _only_asker(askers, signs, witnesses) if kind.every else None
    if kind.every:
        witnesses = _not_of_others(signs, witnesses)
    by_asker = [
        _timed(
            [each for each in signs if each.asker == asker],
            [each for each in witnesses if each.asker == asker],
        )
        for asker in sorted({each.asker for each in signs})
    ]
    worst = max(by_asker, key=_weight)
    state = worst.duty is Duty.SHARE and not kind.every and kind.cause not in GENERAL
    if state or kind.cause in LIMITS:
        worst = Timing(Duty.ALWAYS)  # that something else worked is no chance
    yield _converted(
        Candidate(kind.cause, kind, place, signs, worst, asker=only, operation=operation),
        [each for each in witnesses if only is None or each.asker == only],
    )


def _only_asker(
    askers: frozenset[str], signs: Sequence[Evidence], witnesses: Sequence[Evidence]
) -> str | None:
    """The one component that is without the place while others have it. Our own way there may be another
    one: where all of several components that ask there are without it, it is none of them."""
    if len(askers) != 1:
        return None
    (only,) = askers
    others = [each for each in witnesses if each.asker != only]
    first = min(each.first for each in signs)
    of_the_stack = [each for each in others if each.asker != VALIDATION]
    lost = bool(of_the_stack) and all(each.last < first for each in of_the_stack)
    return only if others and not (only != VALIDATION and lost) else None


def _timed(signs: Sequence[Evidence], witnesses: Sequence[Evidence]) -> Timing:
    """The time of a cause. What a component claims of another meanwhile is no witness against what was
    met there: it may know of one kept connection alone."""
    found = timing(signs, witnesses)
    if found.duty is Duty.SHARE and any(not _a_claim(each) for each in signs):
        return timing(signs, [each for each in witnesses if not _a_claim(each)])
    return found


def _not_of_others(signs: Sequence[Evidence], witnesses: Sequence[Evidence]) -> list[Evidence]:
    """The witnesses; where operations fail always or not at all, only those of what fails: that is no
    share of anything."""
    bad = {_asked(each) for each in signs}
    mixed = {_asked(each) for each in witnesses} & bad
    at_random = sum(each.count for each in signs if _asked(each) in mixed)
    if at_random > MIXED_SHARE * sum(each.count for each in signs) or len(signs) < LEAST_CONSTANT * len(bad):
        return list(witnesses)
    return [each for each in witnesses if _asked(each) in mixed]


def _asked(each: Evidence) -> str:
    """The operation; what was met on the way of others is one."""
    return "reported" if each.operation in _MET else each.operation


def _weight(found: Timing) -> tuple[int, float]:
    return {Duty.ALWAYS: 2, Duty.SHARE: 1, Duty.ONCE: 0}[found.duty], found.rate


def _compares(good: Evidence, sign: Evidence) -> bool:
    """Whether a good answer could have met what the sign met."""
    if sign.sign in TLS and good.path and good.path[0].protocol == "http":
        return False  # it came unencrypted
    reported = good.operation.startswith("reported.") and sign.operation.startswith("reported.")
    if reported or good.operation == sign.operation:
        return True
    return sign.sign in REACH and not (of_a_witness(good) or of_a_witness(sign))


def _lone_instance(
    place: str, signs: Sequence[Evidence], witnesses: Sequence[Evidence], graph: Graph
) -> tuple[str, str] | None:
    """The one instance that the signs are of, and whose it is, where another one is well."""
    if all(each.sign in _LISTED for each in signs):
        return _odd_one(signs, graph)
    names = {each.instance for each in signs if each.instance is not None}
    # Faults of ours are put on one instance: what is seen under them alone compares it with none.
    if len(names) != 1 or not any(each.steady for each in signs):
        return None
    (name,) = names
    owner = graph.component_of(name)
    if owner not in graph:
        return None
    if any(each.instance is None and each.asker != owner and each.place != owner for each in signs):
        return None  # somebody else met it, too
    first, last = min(each.first for each in signs), max(each.last for each in signs)
    well = [each for each in witnesses if each.instance not in (None, name)]
    if any(graph.component_of(each.instance or "") == owner for each in well) and first <= last:
        return name, owner
    return None


def _one_in_turn(
    place: str,
    kind: Kind,
    signs: Sequence[Evidence],
    witnesses: Sequence[Evidence],
    claims: Sequence[Evidence],
    graph: Graph,
) -> Candidate | None:
    """One of several, not known which: it asks or answers in turn with others, or says in turn with them
    that the place is not well, and no instance is told apart."""
    askers = {each.asker for each in signs}
    only = next(iter(askers)) if len(askers) == 1 else place
    owner = only if only in graph and only != graph.part(Role.LOAD_BALANCER) else place
    if any(each.instance is not None for each in signs) or not (kind.every or kind is UNWELL):
        return None
    if owner not in graph:
        return None
    said = [each for each in claims if each.asker == owner]
    bad = [each for each in said if not each.ok]
    well = [each for each in said if each.ok]
    # One breaker of several may be open by chance, and closes again.
    if not in_turn(signs, witnesses) and not in_turn(bad, well, least_span_s=CLAIMS_SPAN_S):
        return None
    found = timing(signs, witnesses)
    own = tuple(each for each in signs if each.item)
    return Candidate(Cause.BAD_INSTANCE, replace(kind, every=False), owner, own, found)


def _odd_one(signs: Sequence[Evidence], graph: Graph) -> tuple[str, str] | None:
    """The one instance of several that says something else of itself; each was asked."""
    names = {each.instance for each in signs if each.instance is not None}
    if len(names) != 1:
        return None
    (name,) = names
    owner = graph.component_of(name)
    return (name, owner) if len(graph.instances_of(owner)) > 1 else None


def _converted(found: Candidate, witnesses: Sequence[Evidence]) -> Candidate:
    """The kind that its instance, time and share make of it."""
    signs = {each.sign for each in found.signs}
    if found.cause is Cause.COMMIT_UNEXPECTED and found.instance is not None:
        return replace(found, cause=Cause.VERSION_MIX, kind=_like(Cause.VERSION_MIX, found.kind))
    if found.cause is Cause.WRONG_STATUS and found.timing.duty is not Duty.ALWAYS and signs <= _SERVER_SIDE:
        return replace(
            found,
            cause=Cause.INTERMITTENT_ERRORS,
            # A gateway answers for it at whoever asks it.
            kind=replace(found.kind, cause=Cause.INTERMITTENT_ERRORS, soft=GATEWAY),
            operation="",
        )
    if not found.kind.every:
        return found
    if signs <= {E.READ_TIMEOUT, Refined.HOP_TIMED_OUT}:
        asked = {each.operation for each in found.signs}
        timed = [each for each in witnesses if each.elapsed_ms is not None and not _a_claim(each)]
        if any(each.origin is not None for each in found.signs) and timed and _slow(timed):
            return replace(found, cause=Cause.SLOW_DEPENDENCY, kind=_like(Cause.SLOW_DEPENDENCY, found.kind))
        same = [each for each in witnesses if each.operation in asked]
        if any(each.operation == "live" for each in found.signs) and found.timing.duty is Duty.ALWAYS:
            return replace(found, cause=Cause.ANSWERS_NOTHING, kind=_like(Cause.ANSWERS_NOTHING, found.kind))
        if found.timing.duty is Duty.SHARE and (not same or _slow(same)):
            return replace(found, cause=Cause.SLOW_DEPENDENCY, kind=_like(Cause.SLOW_DEPENDENCY, found.kind))
    if found.timing.duty is Duty.ONCE and signs & OUT:
        return replace(found, cause=Cause.AWAY, kind=_like(Cause.AWAY, found.kind))
    # Connections that were kept go on where a network was closed: it may be closed all the time.
    kept = signs <= {E.CONNECT_TIMEOUT} or found.timing.rate >= NEARLY_ALL
    if found.timing.duty is Duty.SHARE and signs <= REACH and not kept:
        idle = signs <= _CLOSED and closed_while_idle(found.signs, witnesses)
        cause = Cause.KEEP_ALIVE if idle else Cause.INTERMITTENT_ERRORS
        return replace(found, cause=cause, kind=_like(cause, found.kind))
    return found


def _like(cause: Cause, kind: Kind) -> Kind:
    return replace(kind, cause=cause)


def _slow(witnesses: Iterable[Evidence]) -> bool:
    """Whether those that were answered waited, too."""
    times = [each.elapsed_ms for each in witnesses if each.elapsed_ms is not None]
    return not times or median(times) >= SLOW_ANSWER_MS or max(times) >= 4 * SLOW_ANSWER_MS


def asked_by_us_alone(found: Candidate) -> bool:
    """Whether the validation alone is without it: users are not."""
    return found.asker == VALIDATION
