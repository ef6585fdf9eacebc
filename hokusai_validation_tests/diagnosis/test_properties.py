"""Whatever stands in the rows: the diagnosis answers, and leaves no failure unexplained."""

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hokusai_validation import catalogue
from hokusai_validation.diagnosis import History, assemble, diagnose, exit_status, summarise
from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.report import Report, Verdict
from hokusai_validation.result import Phase, Result, Status, final_attempts
from hokusai_validation_tests.diagnosis.rows import AT, as_phases, row, target

TARGET = target()
ENTRIES = [entry.test for entry in catalogue.entries()]
COMPONENTS = [*TARGET.topology, "api-1", "api-2", "api-1->mlflow", "somebody else", ""]

# Of the keys that the diagnosis reads, right, wrong and hostile forms.
EVIDENCE: list[dict[str, Any]] = [
    {},
    {"performance": None, "deployment": 3, "versions": [], "orphaned_faults": "text"},
    {"performance": [{"test": "x"}, 7], "deployment": [{"component": 1}], "versions": {"a": {}}},
    {"performance": [{"test": "x", "endpoint": "/live", "model": "open", "requests": 1, "p99_ms": 1e9}]},
    {"deployment": {"component": "api", "commit": "a"}, "orphaned_faults": [{"fault": "f"}, None]},
    {"an answer": {"status": 503, "body": "psycopg2: Connection refused"}, "another": {"status": True}},
]

any_evidence = st.dictionaries(
    st.sampled_from(["performance", "deployment", "versions", "orphaned_faults", "other"]),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=4,
    ),
    max_size=2,
)

facts = st.builds(
    Fact,
    kind=st.sampled_from(FactKind),
    component=st.sampled_from(COMPONENTS),
    via=st.none() | st.sampled_from(COMPONENTS),
    seen=st.sampled_from(
        ["", "Connection refused", 'password authentication failed for user "x"', "{subject}", "$(id)"]
    )
    | st.text(max_size=30),
)


@st.composite
def some_row(draw: st.DrawFn) -> Result:
    """A row of a known or unknown test with any facts, and evidence of any form."""
    fields: dict[str, Any] = {
        "facts": tuple(draw(st.lists(facts, max_size=4))),
        "attempt": draw(st.integers(1, 2)),
        "component": draw(st.sampled_from(COMPONENTS)),
        "message": draw(st.text(max_size=30)),
        "evidence": draw(st.sampled_from(EVIDENCE) | any_evidence),
    }
    test = draw(st.sampled_from(ENTRIES) | st.text(min_size=1, max_size=10))
    return row(test, draw(st.sampled_from(Status)), **fields)


rows_of = st.lists(some_row(), max_size=12)
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(rows_of)
def test_every_failed_test_is_explained_by_exactly_one_finding(rows: list[Result]) -> None:
    findings = diagnose(rows, TARGET, at=AT)
    failed = sorted(result.test for result in final_attempts(rows) if result.status is Status.FAILED)
    assert sorted(test for finding in findings for test in finding.explains) == failed
    assert len({finding.key for finding in findings}) == len(findings)


@quick
@given(rows_of, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows: list[Result], chance: random.Random) -> None:
    rows = list(final_attempts(rows))
    shuffled = list(rows)
    chance.shuffle(shuffled)

    def seen(findings: Any) -> list[tuple[str, str, list[str]]]:
        return [(each.key, each.priority, sorted(each.explains)) for each in findings]

    assert seen(diagnose(rows, TARGET, at=AT)) == seen(diagnose(shuffled, TARGET, at=AT))


@quick
@given(rows_of)
def test_a_report_comes_whatever_the_rows_hold(rows: list[Result]) -> None:
    rows = list(final_attempts(rows))
    report = assemble(run_id="run", target=TARGET, phases=as_phases(rows), started_at=AT, finished_at=AT)
    assert report.counts.catalogue.total == 67
    counts = report.counts.catalogue
    assert counts.passed + counts.failed + counts.broken + counts.skipped == 67
    assert sum(report.counts.by_status.values()) == len(final_attempts(report.results))
    assert exit_status(report, TARGET, tuple(Phase)) in (0, 1, 3)
    assert Report.model_validate_json(report.model_dump_json()) == report
    if any(result.critical and result.status is Status.FAILED for result in final_attempts(report.results)):
        assert report.verdict is Verdict.UNHEALTHY
    summary = summarise(report, TARGET)
    again = assemble(
        run_id="next",
        target=TARGET,
        phases=as_phases(rows),
        started_at=AT,
        finished_at=AT,
        history=History.from_json([summary.model_dump(mode="json")]),
    )
    assert again.trend.previous_run_id == "run"
    assert {finding.key for finding in again.findings} == {finding.key for finding in report.findings}
    assert all(finding.seen_runs == 2 for finding in again.findings)


@quick
@given(st.lists(facts, min_size=1, max_size=3))
def test_no_text_of_a_service_can_run_in_a_reproduction(seen: list[Fact]) -> None:
    for finding in diagnose([row(ENTRIES[0], Status.FAILED, facts=tuple(seen))], TARGET, at=AT):
        for command in finding.reproduction:
            assert "\n" not in command
            assert "$(id)" not in command
