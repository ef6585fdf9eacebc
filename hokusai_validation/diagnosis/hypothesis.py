"""A possible cause, with the sightings it rests on."""

from collections.abc import Iterable
from dataclasses import dataclass

from hokusai_validation.diagnosis.sightings import Sighting
from hokusai_validation.report import Cause


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """`component` is at fault in the way that `cause` names. `subject` narrows it for a reader (a
    user, a path, a name); `instance` is the one instance of several that it is about; `only_from`
    the one component that can't reach it, while others can."""

    cause: Cause
    component: str
    evidence: tuple[Sighting, ...]
    subject: str = ""
    instance: str | None = None
    only_from: str | None = None

    @property
    def key(self) -> str:
        """Identifies the same finding across runs."""
        return f"{self.cause.value}:{self.component}"

    @property
    def steady(self) -> bool:
        """Whether any of it was seen while no fault of ours was on."""
        return any(sighting.steady for sighting in self.evidence)

    @property
    def claims_well(self) -> bool:
        """Whether a service says well of something that others find out: a wrong answer in itself."""
        return any(
            "the service says up" in sighting.fact.seen and "we see down" in sighting.fact.seen
            for sighting in self.evidence
        )


def merge(hypotheses: Iterable[Hypothesis]) -> tuple[Hypothesis, ...]:
    """One for each cause and component, with all the evidence; in a fixed order."""
    found: dict[str, Hypothesis] = {}
    for each in hypotheses:
        known = found.get(each.key)
        if known is None:
            found[each.key] = each
            continue
        found[each.key] = Hypothesis(
            cause=each.cause,
            component=each.component,
            evidence=tuple(dict.fromkeys((*known.evidence, *each.evidence))),
            subject=known.subject or each.subject,
            instance=known.instance if known.instance == each.instance else None,
            only_from=known.only_from if known.only_from == each.only_from else None,
        )
    return tuple(found[key] for key in sorted(found))
