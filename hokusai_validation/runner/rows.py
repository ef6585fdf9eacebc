"""Rows on their way out: to a file of JSON lines, to Dagster through Pipes, or both; and the rows
of tests that sent none."""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from hokusai_validation.catalogue import Entry
from hokusai_validation.errors import UsageError
from hokusai_validation.redaction import Redactor
from hokusai_validation.result import Result, SkipReason, Status, now

NEVER_REPORTED = "never reported"
NOT_SELECTED = "not selected"


class Sink(Protocol):
    """Takes a row the moment it is there."""

    def __call__(self, result: Result) -> None: ...


def file_sink(path: Path) -> Sink:
    """Appends a JSON line a row, each written at once.

    Raises UsageError when the file can't be opened."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise UsageError(f"Rows can't be written to {path}: {error.strerror}.") from None

    def send(result: Result) -> None:
        os.write(handle, result.model_dump_json().encode() + b"\n")

    return send


def pipes_sink(report_custom_message: Callable[[Any], None]) -> Sink:
    """Sends each row as a custom message of Dagster Pipes."""

    def send(result: Result) -> None:
        report_custom_message(result.model_dump(mode="json"))

    return send


def redacted(result: Result, redactor: Redactor) -> Result:
    """The row with every secret masked in the texts that hold what was seen."""
    return result.model_copy(
        update={
            "message": redactor.text(result.message),
            "detail": redactor.text(result.detail),
            "evidence": redactor.json(dict(result.evidence)),
            "facts": tuple(
                fact.model_copy(update={"seen": redactor.text(fact.seen)}) for fact in result.facts
            ),
        }
    )


def read_rows(path: Path) -> tuple[Result, ...]:
    """The rows of a file of JSON lines; a last line that was cut off is left out."""
    rows: list[Result] = []
    if not path.exists():
        return ()
    for line in path.read_bytes().splitlines():
        try:
            rows.append(Result.model_validate_json(line))
        except ValidationError:
            continue
    return tuple(rows)


def unrun(
    entry: Entry,
    *,
    run_id: str,
    target: str,
    status: Status,
    message: str,
    skip_reason: SkipReason | None = None,
) -> Result:
    """The row of a test that did not run."""
    return Result(
        run_id=run_id,
        target=target,
        phase=entry.phase,
        category=entry.category,
        id=entry.id,
        test=entry.test,
        component=entry.component,
        critical=entry.critical,
        status=status,
        started_at=now(),
        message=message,
        skip_reason=skip_reason,
    )


def complete(
    results: Sequence[Result],
    *,
    scope: Iterable[Entry],
    asked: Callable[[Entry], bool],
    run_id: str,
    target: str,
    why: Callable[[Entry], str] | None = None,
) -> tuple[Result, ...]:
    """The rows that are missing from `results`: one for every entry of `scope` without any, so that
    nothing is ever hidden. `broken: never reported` where it was asked for, else `skipped: not
    selected`; `why` may say more."""
    seen = {result.test for result in results}
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


def row_json(result: Result) -> str:
    """A row as text, to travel between test processes."""
    return json.dumps(result.model_dump(mode="json"), ensure_ascii=False)
