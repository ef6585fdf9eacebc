"""How a row is made: redacted first, then cut; and the rows of tests that gave none."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from pydantic import JsonValue

from hokusai_validation.catalogue import Entry
from hokusai_validation.redaction import Redactor
from hokusai_validation.result import Result, SkipReason, Status, now
from hokusai_validation.target import Target

NEVER_REPORTED = "never reported"
NOT_SELECTED = "not selected"

# One row must stay small enough for a report, whatever a target answers. Characters and items.
MESSAGE_LIMIT = 600
DETAIL_LIMIT = 20_000
SEEN_LIMIT = 300
TEXT_LIMIT = 4_000
ITEMS_LIMIT = 200
PERFORMANCE = "performance"  # in evidence: load runs, whose size is bounded where they are measured


class Reported(Protocol):
    """Whatever names the test that it is of."""

    @property
    def test(self) -> str:
        """`Class::function`."""


def finished(result: Result, redactor: Redactor) -> Result:
    """The row as everybody sees it from here on: every secret masked in the texts that hold what was
    seen, and these cut only then, so that no half of a secret is left. A number that is none (NaN,
    infinity) is no metric, and null in evidence."""
    return result.model_copy(
        update={
            "message": redactor.text(result.message)[:MESSAGE_LIMIT],
            "detail": redactor.text(result.detail)[-DETAIL_LIMIT:],
            "evidence": {
                redactor.text(name): value if name == PERFORMANCE else cut(redactor.json(value))
                for name, value in result.evidence.items()
            },
            "facts": tuple(
                fact.model_copy(update={"seen": redactor.text(fact.seen)[:SEEN_LIMIT]})
                for fact in result.facts
            ),
            "metrics": {name: number for name, number in result.metrics.items() if math.isfinite(number)},
        }
    )


def cut(value: JsonValue, scale: int = 1) -> JsonValue:
    """JSON with its long texts and lists cut to `scale` times the limits of a row."""
    text_limit, items_limit = TEXT_LIMIT * scale, ITEMS_LIMIT * scale
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str) and len(value) > text_limit:
        return f"{value[:text_limit]}… ({len(value)} characters)"
    if isinstance(value, list):
        kept = [cut(item, scale) for item in value[:items_limit]]
        return kept if len(value) <= items_limit else [*kept, f"… {len(value)} items"]
    if isinstance(value, dict):
        return {key: cut(item, scale) for key, item in list(value.items())[:items_limit]}
    return value


def unrun(
    entry: Entry,
    *,
    run_id: str,
    target: Target,
    status: Status,
    message: str,
    skip_reason: SkipReason | None = None,
) -> Result:
    """The row of a test that did not run."""
    return Result(
        run_id=run_id,
        target=target.name,
        phase=entry.phase,
        category=entry.category,
        id=entry.id,
        test=entry.test,
        component=target.named(entry.component),
        critical=entry.critical,
        status=status,
        started_at=now(),
        message=message,
        skip_reason=skip_reason,
    )


def complete(
    reported: Sequence[Reported],
    *,
    scope: Iterable[Entry],
    asked: Callable[[Entry], bool],
    run_id: str,
    target: Target,
    why: Callable[[Entry], str] | None = None,
) -> tuple[Result, ...]:
    """The rows that are missing from those reported: one for every entry of `scope` without any, so
    that nothing is ever hidden. `broken: never reported` where it was asked for, else `skipped: not
    selected`; `why` may say more."""
    seen = {each.test for each in reported}
    missing = []
    for entry in scope:
        if entry.test in seen:
            continue
        if asked(entry):
            reason = why(entry) if why is not None else ""
            message = f"{NEVER_REPORTED}: {reason}" if reason else NEVER_REPORTED
            missing.append(unrun(entry, run_id=run_id, target=target, status=Status.BROKEN, message=message))
        else:
            missing.append(
                unrun(
                    entry,
                    run_id=run_id,
                    target=target,
                    status=Status.SKIPPED,
                    message=NOT_SELECTED,
                    skip_reason=SkipReason.NOT_SELECTED,
                )
            )
    return tuple(missing)
