"""Rows survive the table and back, whatever they carry."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.result import Category, Phase, Result, Status, final_attempts, from_frame, to_frame

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)
LATEST = datetime(2100, 1, 1, tzinfo=UTC).replace(tzinfo=None)
RESULTS = st.builds(
    Result,
    run_id=TEXT,
    target=TEXT,
    phase=st.sampled_from(Phase),
    category=st.sampled_from(Category),
    id=TEXT,
    test=TEXT,
    component=TEXT,
    critical=st.booleans(),
    status=st.sampled_from(Status),
    started_at=st.datetimes(timezones=st.just(UTC), min_value=EARLIEST, max_value=LATEST),
    duration_s=st.floats(0, 1e6),
    message=TEXT,
    detail=TEXT,
    evidence=st.dictionaries(TEXT, JSON, max_size=3),
    facts=st.lists(
        st.builds(Fact, kind=st.sampled_from(FactKind), component=TEXT, via=st.none() | TEXT, seen=TEXT),
        max_size=2,
    ).map(tuple),
    metrics=st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    attempt=st.integers(1, 2),
    flaky=st.booleans(),
)


@given(st.lists(RESULTS, max_size=4))
def test_rows_survive_the_frame(results: list[Result]) -> None:
    assert from_frame(to_frame(results)) == tuple(results)


@given(st.lists(RESULTS, max_size=6))
def test_each_test_has_one_final_attempt(results: list[Result]) -> None:
    final = final_attempts(results)
    assert len({(row.phase, row.test) for row in final}) == len(final)
    assert {(row.phase, row.test) for row in final} == {(row.phase, row.test) for row in results}
