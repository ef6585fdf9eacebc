"""What the load tests measured, read back from their rows."""

from collections.abc import Iterable

from pydantic import ValidationError

from hokusai_validation.report import Performance
from hokusai_validation.result import Result

KEY = "performance"


def performances(rows: Iterable[Result]) -> tuple[Performance, ...]:
    """Every entry of `evidence["performance"]` (a list of `Performance` as JSON). One that is of
    another form is passed over: a report must come whatever stands in a row."""
    found = []
    for row in rows:
        entries = row.evidence.get(KEY)
        if isinstance(entries, dict):
            entries = [entries]
        for entry in entries if isinstance(entries, list) else ():
            try:
                found.append(Performance.model_validate(entry))
            except ValidationError:
                continue
    return tuple(found)
