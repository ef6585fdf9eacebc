"""Findings while rows still arrive: only those that will hardly be withdrawn are told.

A finding is told when its state was seen directly (`certain`), or when it explains two tests and stood in
two looks that are some time apart. Pure: the caller brings the time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import AwareDatetime

from hokusai_validation.observation import Frozen
from hokusai_validation.report import Confidence, Finding, Priority

# Between two looks, and what a finding must outlast before it is told.
LOOK_EVERY_S = 2.0
LEAST_EXPLAINED = 2


class Provisional(Frozen):
    """What a run has found so far. It is no report: it has no verdict and enters no history.

    `rows` have arrived, `to_come` are the phases whose rows are not complete. `withdrawn` are the titles of
    findings that were told and did not last."""

    run_id: str
    target: str
    at: AwareDatetime
    rows: int
    to_come: tuple[str, ...]
    findings: tuple[Finding, ...]
    withdrawn: tuple[str, ...] = ()


@dataclass
class Standing:
    """Of one run: which findings have been told."""

    told: dict[str, Finding] = field(default_factory=dict)
    withdrawn: list[str] = field(default_factory=list)
    _first_seen_s: dict[str, float] = field(default_factory=dict)

    def look(self, findings: Sequence[Finding], at_s: float) -> tuple[Finding, ...]:
        """Take in what was found at a moment (`time.monotonic()`); the findings that are told now for the
        first time."""
        present = {finding.key: finding for finding in findings}
        self._first_seen_s = {key: self._first_seen_s.get(key, at_s) for key in present}
        for key in [key for key in self.told if key not in present]:
            self.withdrawn.append(self.told.pop(key).title)
        fresh = [
            finding
            for key, finding in present.items()
            if key not in self.told and self._is_firm(finding, at_s)
        ]
        self.told |= {key: finding for key, finding in present.items() if key in self.told}
        self.told |= {finding.key: finding for finding in fresh}
        return tuple(fresh)

    def _is_firm(self, finding: Finding, at_s: float) -> bool:
        if finding.confidence is Confidence.CERTAIN:
            return True
        stood_s = at_s - self._first_seen_s[finding.key]
        return stood_s >= LOOK_EVERY_S and len(finding.explains) >= LEAST_EXPLAINED


def ends_a_run(findings: Iterable[Finding]) -> Finding | None:
    """The first finding that says for certain that users are without service."""
    return next(
        (each for each in findings if each.priority is Priority.P0 and each.confidence is Confidence.CERTAIN),
        None,
    )
