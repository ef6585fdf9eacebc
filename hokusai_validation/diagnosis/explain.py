"""From hypotheses to causes: what others explain is dropped, and every failed row is given to
exactly one cause that explains it best."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hokusai_validation.diagnosis.consequences import OUTAGES, explains
from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.sightings import Case, Sighting
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause
from hokusai_validation.result import Result


@dataclass
class Explained:
    """A cause that stands, the failed rows given to it, and the hypotheses that follow from it."""

    hypothesis: Hypothesis
    rows: list[Result] = field(default_factory=list)
    effects: list[Hypothesis] = field(default_factory=list)


def explain(case: Case, hypotheses: Sequence[Hypothesis]) -> tuple[Explained, ...]:
    """The causes that no other explains, deepest first, each with what it explains. A failed row
    that none of them explains goes to an `unknown` of its component."""
    standing = _standing(case, hypotheses)
    causes = {each.key: Explained(each) for each in standing}
    for effect in hypotheses:
        if effect.key not in causes:
            origin = _ancestor(case, effect, hypotheses, standing)
            assert origin is not None  # _standing sees to it
            causes[origin.key].effects.append(effect)
    dropped = {
        id(sighting): explained.hypothesis
        for explained in causes.values()
        for effect in explained.effects
        for sighting in effect.evidence
    }
    unknown: dict[str, Explained] = {}
    for row in case.failed:
        best = _best(case, row, standing, dropped)
        if best is not None:
            causes[best.key].rows.append(row)
            continue
        component = case.graph.component_of(row.component)
        evidence = tuple(sighting for sighting in case.sightings if sighting.row is row)
        found = unknown.setdefault(component, Explained(Hypothesis(Cause.UNKNOWN, component, ())))
        found.hypothesis = Hypothesis(Cause.UNKNOWN, component, found.hypothesis.evidence + evidence)
        found.rows.append(row)
    return tuple(causes.values()) + tuple(unknown[name] for name in sorted(unknown))


def _standing(case: Case, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Those that nothing explains. Of two that explain each other the deeper one stays; where
    several do so in a ring, the deepest of the ring."""
    standing = [each for each in hypotheses if not _above(case, each, hypotheses)]
    for each in sorted(hypotheses, key=lambda one: (-case.graph.depth(one.component), one.key)):
        if _ancestor(case, each, hypotheses, standing) is None:
            standing.append(each)
    return [each for each in hypotheses if each in standing]


def _above(case: Case, effect: Hypothesis, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """The hypotheses that explain this one, unless it is rather the other way round."""
    return [
        cause
        for cause in hypotheses
        if explains(cause, effect, case.graph)
        and not (explains(effect, cause, case.graph) and _before(case, effect, cause))
    ]


def _ancestor(
    case: Case, effect: Hypothesis, hypotheses: Sequence[Hypothesis], standing: Sequence[Hypothesis]
) -> Hypothesis | None:
    """The standing cause that an effect goes back to: the nearest, and of those the deepest."""
    level, seen = [effect], {effect.key}
    while level:
        found = [each for each in level if each in standing]
        if found:
            return max(found, key=lambda each: (case.graph.depth(each.component), each.key))
        higher = {cause.key: cause for each in level for cause in _above(case, each, hypotheses)}
        level = [cause for key, cause in higher.items() if key not in seen]
        seen |= higher.keys()
    return None


def _before(case: Case, one: Hypothesis, other: Hypothesis) -> bool:
    mine = (-case.graph.depth(one.component), -len(one.evidence), one.key)
    theirs = (-case.graph.depth(other.component), -len(other.evidence), other.key)
    return mine < theirs


def _best(
    case: Case, row: Result, standing: Sequence[Hypothesis], dropped: dict[int, Hypothesis]
) -> Hypothesis | None:
    """The cause whose own evidence the row holds; else the one that explains what it holds; else
    the deepest outage that its component stands on."""
    mine = [sighting for sighting in case.sightings if sighting.row is row]
    own = {id(sighting) for sighting in mine}
    direct = [each for each in standing if own & {id(sighting) for sighting in each.evidence}]
    if direct:
        return max(
            direct,
            key=lambda each: (
                sum(id(sighting) in own for sighting in each.evidence),
                case.graph.depth(each.component),
                each.key,
            ),
        )
    following = [dropped[id(sighting)] for sighting in mine if id(sighting) in dropped]
    if following:
        return max(following, key=lambda each: (case.graph.depth(each.component), each.key))
    reachable = [each for each in standing if _reaches(case, each, row, mine)]
    return max(
        reachable,
        key=lambda each: (
            each.cause in OUTAGES,
            case.graph.depth(each.component),
            len(each.evidence),
            each.key,
        ),
        default=None,
    )


def _reaches(case: Case, cause: Hypothesis, row: Result, mine: Sequence[Sighting]) -> bool:
    """Whether a row without evidence of its own may follow from a cause: it has to do with the
    component (its own, or one that it names), stands on it, or is reached through it."""
    named = {case.graph.component_of(row.component), *(sighting.component for sighting in mine)}
    named |= {sighting.via for sighting in mine if sighting.blind and sighting.via}
    general = all(
        sighting.kind is FactKind.SERVICE_UNHEALTHY or sighting.blind or not sighting.steady
        for sighting in mine
    )
    if cause.component in named:
        return general or cause.cause in OUTAGES
    if cause.cause not in OUTAGES or not general:
        return False
    return any(
        cause.component in case.graph.below(name) or cause.component in case.graph.above(name)
        for name in named
    )
