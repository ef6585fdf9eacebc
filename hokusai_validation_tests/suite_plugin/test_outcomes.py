"""How a test ends decides whose fault it is; every ending gives a row."""

from pathlib import Path

import pytest

from hokusai_validation.catalogue import entries
from hokusai_validation.facts import FactKind
from hokusai_validation.result import Category, Status
from hokusai_validation_tests.suite_plugin.running import SECRET, Ran, run_suite

FILE = """
import time, pytest
from hokusai_validation.errors import ConnectionRefused, FaultNotProven, NotJudged
from hokusai_validation.facts import FactKind

tries = []

@pytest.fixture
def breaking():
    raise LookupError("no such thing")

@pytest.fixture
def dirty():
    yield
    raise AssertionError("something was left behind")

class TestMLflowCircuitBreaker:
    def test_initial_state(self, evidence):
        evidence.record("seen", {"state": "CLOSED"})
        evidence.metric("wait_s", 2)

    def test_success_in_closed_state(self):
        tries.append(1)
        assert len(tries) == 2

    def test_state_transition_closed_to_open(self):
        pytest.fail("not open at the threshold")

    def test_state_transition_open_to_half_open(self):
        raise ConnectionRefused("GET http://127.0.0.1:1/: connection refused.")

    def test_half_open_success_recovery(self):
        pytest.skip("not here")

    def test_half_open_failure_back_to_open(self):
        raise NotJudged("the state did not come within 3 s")

    def test_max_recovery_attempts(self):
        raise ValueError("ours")

    def test_exponential_backoff_after_max_attempts(self, breaking):
        pass

    def test_force_reset(self):
        while True:
            time.sleep(0.01)

    def test_status_reporting(self, dirty):
        pass

    def test_status_in_open_state(self, secrets, target, evidence):
        key = secrets.value(target.keys.good).get_secret_value()
        print("printed", key)
        evidence.record("header", "Authorization: Bearer " + key)
        evidence.fact(FactKind.KEY_REFUSED, "auth", "key " + key)
        assert key == "", "the key was " + key

    def test_time_calculations(self):
        raise ExceptionGroup("two", [AssertionError("one"), ConnectionRefused("GET x: connection refused.")])

    def test_consecutive_success_reset_on_failure(self):
        raise ExceptionGroup("two", [AssertionError("one"), ValueError("ours")])

    def test_not_in_the_catalogue(self):
        assert False
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run_suite(tmp_path_factory.mktemp("suite"), {"test_file.py": FILE}, "--category=unit")


def test_a_test_that_returns_has_passed_with_what_it_saw(ran: Ran) -> None:
    (row,) = ran.of("test_initial_state")
    assert row.status is Status.PASSED
    assert row.evidence == {"seen": {"state": "CLOSED"}}
    assert row.metrics == {"wait_s": 2.0}
    assert (row.id, row.target, row.phase, row.critical) == ("U1", "stub", "functional", True)
    assert not row.flaky


ASSERTS = """
from hokusai_validation.facts import FactKind

class TestMLflowCircuitBreaker:
    def test_basic_failure_tracking(self, evidence):
        evidence.fact(FactKind.BREAKER_CONTRACT, "api", "count 3, expected 2")
        assert 3 == 2, "counted 3 failures, expected 2"
"""


def test_an_assertion_fails_the_target_after_a_second_attempt(tmp_path: Path) -> None:
    # By itself: of others at a place where nobody takes connections one is asked again for all.
    ran = run_suite(tmp_path, {"test_file.py": ASSERTS}, "--category=unit")
    first, second = ran.of("test_basic_failure_tracking")
    assert (first.status, second.status) == (Status.FAILED, Status.FAILED)
    assert (first.attempt, second.attempt) == (1, 2)
    assert "counted 3 failures, expected 2" in second.message
    assert [fact.kind for fact in second.facts] == [FactKind.BREAKER_CONTRACT]
    assert "AssertionError" in second.detail


def test_a_second_attempt_that_passes_is_flaky(ran: Ran) -> None:
    assert ran.statuses("test_success_in_closed_state") == [Status.FAILED, Status.PASSED]
    assert [row.flaky for row in ran.of("test_success_in_closed_state")] == [False, True]


def test_pytest_fail_fails_the_target(ran: Ran) -> None:
    assert ran.statuses("test_state_transition_closed_to_open") == [Status.FAILED, Status.FAILED]
    assert ran.of("test_state_transition_closed_to_open")[0].message == "not open at the threshold"


def test_a_request_that_fails_is_a_fact_about_the_component(ran: Ran) -> None:
    row = ran.of("test_state_transition_open_to_half_open")[-1]
    assert row.status is Status.FAILED
    assert [(fact.kind, fact.component) for fact in row.facts] == [(FactKind.REFUSED, "api")]


def test_skipped_says_why_and_is_not_tried_again(ran: Ran) -> None:
    (row,) = ran.of("test_half_open_success_recovery")
    assert (row.status, row.message) == (Status.SKIPPED, "not here")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("test_half_open_failure_back_to_open", "the state did not come within 3 s"),
        ("test_max_recovery_attempts", "ValueError: ours"),
        ("test_exponential_backoff_after_max_attempts", "LookupError: no such thing"),
    ],
)
def test_what_is_not_the_targets_fault_is_broken_and_not_tried_again(
    ran: Ran, function: str, message: str
) -> None:
    (row,) = ran.of(function)
    assert (row.status, row.message) == (Status.BROKEN, message)


def test_a_hanging_test_is_ended_at_its_limit_and_the_suite_goes_on(ran: Ran) -> None:
    (row,) = ran.of("test_force_reset")
    assert row.status is Status.BROKEN
    assert "did not end within its limit of 1 s" in row.message
    assert 0.9 < row.duration_s < 10
    assert ran.of("test_status_reporting")


def test_an_assertion_in_a_clean_up_is_ours(ran: Ran) -> None:
    assert ran.statuses("test_status_reporting") == [Status.BROKEN]
    assert "left behind" in ran.of("test_status_reporting")[0].message


def test_a_group_is_the_targets_fault_only_when_all_of_it_is(ran: Ran) -> None:
    # Once: a refused connection was seen to stand by then.
    assert ran.statuses("test_time_calculations") == [Status.FAILED]
    assert ran.statuses("test_consecutive_success_reset_on_failure") == [Status.BROKEN]


def test_no_secret_leaves_the_process(ran: Ran) -> None:
    row = ran.of("test_status_in_open_state")[-1]
    assert row.status is Status.FAILED
    assert SECRET not in row.model_dump_json()
    assert SECRET not in ran.output
    assert "[redacted]" in row.message
    assert "[redacted]" in str(row.evidence)


def test_every_catalogued_test_has_a_row_and_no_other(ran: Ran) -> None:
    unit = {entry.test for entry in entries(Category.UNIT)}
    assert {row.test for row in ran.rows} == unit


def test_the_run_is_one_and_pytest_itself_fails(ran: Ran) -> None:
    assert len({row.run_id for row in ran.rows}) == 1
    assert ran.status == 1


def test_load_and_chaos_are_not_tried_again(tmp_path: Path) -> None:
    text = """
    class TestRecoveryMechanisms:
        def test_service_health_persistence(self):
            assert False, "flapping"
    """
    target = 'name = "stub"\n[[instances]]\nname = "api-1"\nurl = "http://127.0.0.1:1"\n'
    done = run_suite(tmp_path, {"test_file.py": text}, "--category=chaos", target=target)
    assert done.statuses("test_service_health_persistence") == [Status.FAILED]


OURS = """
import pytest
from hokusai_validation.errors import ConnectionRefused, ExpectationUnmet

@pytest.fixture
def checking():
    assert 3 == 2, "a fixture's own check"

@pytest.fixture
def failing():
    pytest.fail("a fixture's own check")

@pytest.fixture
def unreachable_behind():
    yield
    raise ConnectionRefused("DELETE http://127.0.0.1:1/: connection refused.")

@pytest.fixture
def expecting_behind():
    yield
    raise ExpectationUnmet("the target is not what it was")

@pytest.fixture
def unreachable():
    raise ConnectionRefused("GET http://127.0.0.1:1/: connection refused.")

class TestMLflowCircuitBreaker:
    def test_initial_state(self):
        import cut_off

    def test_basic_failure_tracking(self, checking):
        pass

    def test_success_in_closed_state(self, failing):
        pass

    def test_state_transition_closed_to_open(self, unreachable_behind):
        pass

    def test_state_transition_open_to_half_open(self, expecting_behind):
        pass

    def test_half_open_success_recovery(self, unreachable):
        pass

    def test_half_open_failure_back_to_open(self):
        from helping import checked
        checked(2)

    def test_max_recovery_attempts(self):
        from helping import expected
        expected(2)
"""
HELPING = """
from hokusai_validation.errors import ExpectationUnmet

def checked(value):
    assert value == 3, "a helper's own check"

def expected(value):
    if value != 3:
        raise ExpectationUnmet("it is 2")
"""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    files = {"test_file.py": OURS, "cut_off.py": "raise AssertionError", "helping.py": HELPING}
    return run_suite(tmp_path_factory.mktemp("ours"), files, "--category=unit")


@pytest.mark.parametrize(
    "function",
    [
        "test_initial_state",
        "test_basic_failure_tracking",
        "test_success_in_closed_state",
        "test_state_transition_closed_to_open",
        "test_half_open_failure_back_to_open",
    ],
)
def test_what_is_raised_outside_an_expectation_is_ours(ours: Ran, function: str) -> None:
    (row,) = ours.of(function)
    assert row.status is Status.BROKEN
    assert row.facts == ()


@pytest.mark.parametrize(
    "function",
    [
        "test_state_transition_open_to_half_open",
        "test_half_open_success_recovery",
        "test_max_recovery_attempts",
    ],
)
def test_an_expectation_about_the_target_fails_it_wherever_it_is_held(ours: Ran, function: str) -> None:
    assert ours.statuses(function)[0] is Status.FAILED
