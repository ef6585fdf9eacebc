"""Which failures get a second attempt, in which order, and what a time budget leaves over."""

from pathlib import Path
from unittest.mock import Mock

from hokusai_validation.catalogue import entries
from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.observation import ErrorClass, Outcome
from hokusai_validation.result import SkipReason, Status
from hokusai_validation.runner.attempts import Deferred, Kind, SecondAttempts, kind_of, standing_in
from hokusai_validation.runner.pipes import Known
from hokusai_validation_tests.diagnosis.rows import AT, row
from hokusai_validation_tests.suite_plugin.running import TARGET, run_suite

FILE = """
import time
from hokusai_validation.errors import ConnectionReset, EarlierFailed, ReadTimedOut
from hokusai_validation.facts import FactKind

tries = []

class TestMLflowCircuitBreaker:
    def test_initial_state(self):
        tries.append("reset")
        raise ConnectionReset("GET x: the connection broke.")

    def test_basic_failure_tracking(self, evidence):
        tries.append("form")
        evidence.fact(FactKind.SCHEMA_MISMATCH, "api", "no such field")
        assert False, "a form that is wrong stays wrong"

    def test_success_in_closed_state(self):
        tries.append("moment")
        if tries.count("moment") == 1:
            raise ReadTimedOut("GET x: no answer.")

    def test_half_open_success_recovery(self):
        if tries.count("moment") == 1:
            raise EarlierFailed("needs success_in_closed_state")

    def test_status_reporting(self):
        raise ConnectionReset("GET y: the connection broke.")

    def test_force_reset(self):
        time.sleep(3)
"""


def test_only_what_can_have_been_of_the_moment_is_tried_again_after_all_others(tmp_path: Path) -> None:
    ran = run_suite(tmp_path, {"test_file.py": FILE}, "--category=unit")
    assert ran.statuses("test_basic_failure_tracking") == [Status.FAILED]
    assert ran.statuses("test_success_in_closed_state") == [Status.FAILED, Status.PASSED]
    assert ran.statuses("test_half_open_success_recovery") == [Status.SKIPPED, Status.PASSED]
    # The first of its kind is asked once more; then it is known to stand.
    assert ran.statuses("test_initial_state") == [Status.FAILED, Status.FAILED]
    assert ran.statuses("test_status_reporting") == [Status.FAILED]
    order = [
        (row.test.rpartition("::")[2], row.attempt) for row in ran.rows if row.status is not Status.SKIPPED
    ]
    assert order.index(("test_force_reset", 1)) < order.index(("test_initial_state", 2))
    assert ran.status == 1


def test_what_a_time_budget_leaves_over_says_so(tmp_path: Path) -> None:
    slow = """
    import time
    class TestMLflowCircuitBreaker:
        def test_initial_state(self):
            time.sleep(1.1)
        def test_basic_failure_tracking(self):
            pass
    """
    budget = TARGET + "[budgets]\nfunctional_s = 1.0\n"
    ran = run_suite(tmp_path, {"test_file.py": slow}, "--category=unit", target=budget)
    (row,) = ran.of("test_basic_failure_tracking")
    assert (row.status, row.skip_reason) == (Status.SKIPPED, SkipReason.TIME_BUDGET)
    assert row.message.startswith("time budget: phase functional may take 1 s")


def test_what_reads_what_the_others_saw_meanwhile_is_never_left_over(tmp_path: Path) -> None:
    slow = """
    import time
    import pytest
    @pytest.fixture
    def watch(): ...
    class TestMLflowCircuitBreaker:
        def test_initial_state(self):
            time.sleep(1.1)
        def test_basic_failure_tracking(self, watch):
            pass
    """
    budget = TARGET + "[budgets]\nfunctional_s = 1.0\n"
    ran = run_suite(tmp_path, {"test_file.py": slow}, "--category=unit", target=budget)
    assert ran.statuses("test_basic_failure_tracking") == [Status.PASSED]


def test_what_a_test_concluded_counts_and_not_what_it_met_by_the_way() -> None:
    seen = {"id": "o", "operation": "health", "dialled": "queue", "started_at": AT, "ended_at": AT}
    unwell = {**seen, "outcome": Outcome.ERROR, "error_class": ErrorClass.STATE}
    blocked = Fact(kind=FactKind.EVENT_LOOP_BLOCKED, component="api", seen="/live took 625 ms")
    failed = row("test_timeout_handling", Status.FAILED, observations=[unwell], facts=[blocked])
    assert kind_of(failed) == frozenset({("event_loop_blocked", "api")})


def test_what_stood_in_an_earlier_phase_is_known_until_something_good_comes_of_the_place() -> None:
    def asked(error: ErrorClass | None, where: str) -> dict[str, object]:
        return {
            "id": "o",
            "operation": "sql.connect",
            "dialled": where,
            "host": "10.0.0.1",
            "started_at": AT,
            "ended_at": AT,
            "outcome": Outcome.OK if error is None else Outcome.ERROR,
            "error_class": error,
        }

    refused = asked(ErrorClass.REFUSED, "postgres")
    first = row("test_database_login", Status.FAILED, observations=[refused])
    again = row("test_database_login", Status.FAILED, observations=[refused], attempt=2)
    assert standing_in([first]) == frozenset()
    assert standing_in([first, again]) == {("refused", "postgres")}
    other = row("test_answers", observations=[asked(None, "redis")])
    assert standing_in([first, again, other]) == {("refused", "postgres")}
    assert standing_in([again, row("test_answers", observations=[asked(None, "postgres")])]) == frozenset()
    assert Known.given(Known.of([again]).extras()).standing == (("refused", "postgres"),)


SILENT = """
import pytest
from hokusai_validation.errors import ReadTimedOut, UnhealthyBefore

tries = []

class TestMLflowCircuitBreaker:
    def test_initial_state(self):
        tries.append(1)
        if len(tries) > 1:
            raise UnhealthyBefore("api was not healthy before", "api")
        raise ReadTimedOut("GET x: no answer.")
"""


def test_a_second_attempt_that_is_not_made_leaves_the_first_as_it_is(tmp_path: Path) -> None:
    ran = run_suite(tmp_path, {"test_file.py": SILENT}, "--category=unit")
    assert ran.statuses("test_initial_state") == [Status.FAILED]
    assert "1 failed" in ran.output


TORN = """
import pytest
from hokusai_validation.errors import ConnectionReset

tries = []

@pytest.fixture(scope="class")
def kept():
    yield

class TestMLflowCircuitBreaker:
    def test_initial_state(self, kept):
        raise ConnectionReset("GET x: the connection broke.")

    def test_basic_failure_tracking(self, kept):
        raise ConnectionReset("GET x: the connection broke.")

class TestGlobalCircuitBreaker:
    def test_get_circuit_breaker_status(self):
        tries.append(1)
        assert len(tries) > 1, "of the moment"
"""


def test_a_second_attempt_that_is_left_out_leaves_nothing_built_up_for_the_next(tmp_path: Path) -> None:
    ran = run_suite(tmp_path, {"test_file.py": TORN}, "--category=unit")
    assert ran.statuses("test_basic_failure_tracking") == [Status.FAILED], "it was left out"
    assert ran.statuses("test_get_circuit_breaker_status") == [Status.FAILED, Status.PASSED]
    assert all(row.status is not Status.BROKEN for row in ran.rows if row.duration_s)


def _waiting(*kinds: Kind | None) -> tuple[SecondAttempts, list[Deferred]]:
    each = [Deferred(Mock(), entries()[number], (), kind) for number, kind in enumerate(kinds)]
    return SecondAttempts(waiting=list(each)), each


def _kind(what: FactKind, where: str = "auth") -> Kind:
    return frozenset({(what.value, where)})


def test_of_one_kind_one_goes_first_and_the_others_where_it_passed() -> None:
    second, (slow, also, other, after) = _waiting(
        _kind(FactKind.SLOW), _kind(FactKind.SLOW), _kind(FactKind.SLOW, "api"), None
    )
    assert second.take() == [slow, other]
    second.ended(slow, Status.PASSED, None)
    second.ended(other, Status.FAILED, other.kind)
    assert second.take() == [also]
    second.ended(also, Status.PASSED, None)
    assert second.take() == [after]
    assert second.take() == second.waiting == []


def test_what_fails_again_keeps_its_kind_from_another_attempt_and_nothing_else() -> None:
    second, (first, alike, other) = _waiting(
        _kind(FactKind.SLOW), _kind(FactKind.SLOW), _kind(FactKind.PROXY_ERROR)
    )
    assert second.take() == [first, other]
    second.ended(first, Status.FAILED, first.kind)
    assert second.take() == []
    assert second.waiting == [alike]


def test_where_nobody_takes_connections_one_is_asked_for_all() -> None:
    def begun() -> tuple[SecondAttempts, list[Deferred]]:
        second, each = _waiting(
            _kind(FactKind.TARGET_UNHEALTHY), _kind(FactKind.REFUSED), _kind(FactKind.REFUSED, "redis")
        )
        assert second.take() == each[1:]
        return second, each

    second, (_, closed, other) = begun()
    second.ended(closed, Status.FAILED, closed.kind)
    second.ended(other, Status.PASSED, None)
    assert second.take() == []
    second, (unhealthy, closed, _) = begun()
    second.ended(closed, Status.PASSED, None)
    assert second.take() == [unhealthy]
