"""Known failures that a target file accepts for a while: what they cover, and which of them do not hold.

A waived row stays `failed`, and the verdict is `degraded` at best. A waiver that has expired, or names
what is not there, waives nothing. What no waiver covers: a leaked secret, a fault of ours that could not
be undone, and what could not be judged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from hokusai_validation import catalogue
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause, Finding, Waived
from hokusai_validation.result import Result, Status, final_attempts
from hokusai_validation.target import Target
from hokusai_validation.waiver import Waiver

_NEVER = frozenset({Cause.SECRET_LEAKED})
_NEVER_FACTS = frozenset({FactKind.SECRET_LEAKED, FactKind.CALLER_KEY_FORWARDED})


@dataclass(frozen=True)
class Waivers:
    """What is accepted: `tests` by name, `places` all of whose causes are accepted; `applied` says it
    waiver by waiver, `notices` why others do not hold."""

    tests: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    applied: tuple[Waived, ...] = ()
    notices: tuple[str, ...] = ()


def waivers(rows: Sequence[Result], findings: Iterable[Finding], target: Target, day: date) -> Waivers:
    """What a target's waivers accept of these rows on a day."""
    found = list(findings)
    never = {test for finding in found if finding.cause in _NEVER for test in finding.explains}
    failed = [
        row
        for row in final_attempts(rows)
        if row.status is Status.FAILED
        and row.test not in never
        and not any(fact.kind in _NEVER_FACTS for fact in row.facts)
    ]
    applied: list[Waived] = []
    causes: set[tuple[str | None, str | None]] = set()
    for waiver in target.waivers:
        if refusal(waiver, target, day) is not None:
            continue
        explained = {
            test
            for finding in found
            if (finding.cause.value, finding.component) == (waiver.cause, waiver.place)
            for test in finding.explains
        }
        covered = [row for row in failed if row.test in explained or _means(waiver.test, row.id, row.test)]
        causes.add((waiver.cause, waiver.place))
        if covered:
            applied.append(
                Waived(
                    what=waiver.subject,
                    tests=tuple(row.test for row in covered),
                    reason=waiver.reason,
                    owner=waiver.owner,
                    until=waiver.until,
                )
            )
    others = {each.component for each in found if (each.cause.value, each.component) not in causes}
    return Waivers(
        frozenset(test for each in applied for test in each.tests),
        frozenset(each.component for each in found) - others,
        tuple(applied),
        refusals(target, day),
    )


def refusals(target: Target, day: date) -> tuple[str, ...]:
    """Why waivers of a target do not hold on a day, a sentence each."""
    found = ((number, each, refusal(each, target, day)) for number, each in enumerate(target.waivers))
    return tuple(
        f"waivers.{number} ({each.subject}) does not hold: {why}" for number, each, why in found if why
    )


def refusal(waiver: Waiver, target: Target, day: date) -> str | None:
    """Why a waiver does not hold on a day, or None."""
    if day > waiver.until:
        return f"it expired after {waiver.until}; {waiver.owner} decides whether to renew it"
    if waiver.test is not None:
        known = any(_means(waiver.test, entry.id, entry.test) for entry in catalogue.of_target(target))
        return None if known else "there is no such test"
    if waiver.cause not in set(Cause):
        return "there is no such cause; a report's findings name theirs"
    if waiver.cause in _NEVER:
        return "this cause can't be waived"
    return None if waiver.place in target.topology else "there is no such component"


def _means(name: str | None, id: str, test: str) -> bool:
    """Whether a waiver's name of a test means this one: its id, its function, all of it, a check's name."""
    return name is not None and name in (id, test, test.rpartition("::")[2], _check(test))


def _check(test: str) -> str:
    own = catalogue.check_test("")[:-1]
    return test.removeprefix(own).removesuffix("]") if test.startswith(own) else ""
