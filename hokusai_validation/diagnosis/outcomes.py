"""How each test ended, in one word."""

from collections.abc import Iterable

from hokusai_validation.diagnosis.rows import is_stale, was_selected
from hokusai_validation.result import Result, final_attempts

FLAKY = "flaky"


def outcomes(rows: Iterable[Result]) -> dict[str, str]:
    """Test → final status, `flaky` for one that passed at its second attempt only. Tests that were
    not selected, or whose rows are stale, are left out: they say nothing about this run."""
    return {
        row.test: FLAKY if row.flaky else row.status.value
        for row in final_attempts(rows)
        if was_selected(row) and not is_stale(row)
    }
