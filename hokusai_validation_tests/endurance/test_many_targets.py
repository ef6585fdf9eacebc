"""Three targets at once with one PostgreSQL: a small form of `benchmarks/many_targets.py`."""

from benchmarks.many_targets import validate
from hokusai_validation.result import Phase


def test_three_targets_at_once_keep_their_rows_apart() -> None:
    done = validate(3, 3, (Phase.ENVIRONMENT,))
    assert done.problems == ()
    assert done.rows >= 3
