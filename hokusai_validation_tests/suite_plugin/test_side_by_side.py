"""Tests that only read, in several processes: every row is there, once, whatever becomes of a process."""

import textwrap
from pathlib import Path

from hokusai_validation.result import Status
from hokusai_validation_tests.suite_plugin.running import Ran, run_suite

UNIT = "--category=unit"
HEAD = """
import os, time
from pathlib import Path
import pytest
log = Path(__file__).with_name("log")
def told(what):
    with log.open("a") as out:
        out.write(f"{os.getpid()} {what}\\n")
"""


def _ran(folder: Path, text: str, *arguments: str) -> tuple[Ran, list[list[str]]]:
    ran = run_suite(folder, {"test_file.py": HEAD + textwrap.dedent(text)}, UNIT, *arguments)
    log = folder / "log"
    told = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return ran, told


def test_each_runs_once_and_in_more_than_one_process(tmp_path: Path) -> None:
    text = """
    class TestMLflowCircuitBreaker:
        def test_initial_state(self): told("a"); time.sleep(0.3)
        def test_success_in_closed_state(self): told("b"); time.sleep(0.3)
        def test_force_reset(self): told("c"); assert 1 == 1
    """
    ran, told = _ran(tmp_path, text, "--processes=3")
    assert sorted(what for _, what in told) == ["a", "b", "c"]
    assert len({process for process, _ in told}) > 1
    assert [ran.statuses(each) for each in ("test_initial_state", "test_force_reset")] == [
        [Status.PASSED]
    ] * 2
    assert "3 passed" in ran.output


def test_what_shares_a_fixture_of_its_file_stays_in_one_process_and_in_order(tmp_path: Path) -> None:
    text = """
    @pytest.fixture(scope="module")
    def steps():
        told("up")
        yield []
        told("down")
    class TestMLflowCircuitBreaker:
        def test_initial_state(self, steps): steps.append(1)
        def test_success_in_closed_state(self, steps): assert steps == [1]; steps.append(2)
        def test_force_reset(self, steps): assert steps == [1, 2]
    """
    ran, told = _ran(tmp_path, text, "--processes=3")
    assert {row.status for row in ran.rows if "file.py" in row.detail or not row.message} == {Status.PASSED}
    assert [what for _, what in told] == ["up", "down"]


def test_what_a_dead_process_was_given_is_run_by_another(tmp_path: Path) -> None:
    text = """
    @pytest.fixture(scope="module")
    def together(): ...
    class TestMLflowCircuitBreaker:
        def test_initial_state(self, together): told("a")
        def test_success_in_closed_state(self, together): os._exit(9)
        def test_force_reset(self, together): told("c")
    """
    ran, told = _ran(tmp_path, text, "--processes=2")
    assert [what for _, what in told] == ["a", "c"]
    assert ran.statuses("test_force_reset") == [Status.PASSED]
    (died,) = ran.of("test_success_in_closed_state")
    assert (died.status, died.message) == (Status.BROKEN, "the test process died while it ran")


def test_a_test_that_hangs_for_good_takes_nothing_but_its_process_along(tmp_path: Path) -> None:
    text = """
    import signal
    class TestMLflowCircuitBreaker:
        def test_force_reset(self):
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
            time.sleep(60)
        def test_initial_state(self): ...
        def test_success_in_closed_state(self): ...
    """
    ran, _ = _ran(tmp_path, text, "--processes=2")
    (hung,) = ran.of("test_force_reset")
    assert hung.status is Status.BROKEN
    assert "did not end within its limit" in hung.message
    assert (
        ran.statuses("test_initial_state") == ran.statuses("test_success_in_closed_state") == [Status.PASSED]
    )


def test_a_second_attempt_comes_behind_all_others(tmp_path: Path) -> None:
    text = """
    from hokusai_validation.errors import ReadTimedOut
    class TestMLflowCircuitBreaker:
        def test_initial_state(self):
            told("first")
            if sum("first" in line for line in log.read_text().splitlines()) == 1:
                raise ReadTimedOut("GET x: no answer.")
        def test_success_in_closed_state(self): time.sleep(0.5); told("other")
    """
    ran, told = _ran(tmp_path, text, "--processes=2")
    assert [what for _, what in told] == ["first", "other", "first"]
    first, second = ran.of("test_initial_state")
    assert (first.status, second.status, second.flaky) == (Status.FAILED, Status.PASSED, True)


def test_what_is_the_whole_sessions_is_torn_down_with_a_processes_last_test(tmp_path: Path) -> None:
    text = """
    from hokusai_validation.runner.state import STATE
    @pytest.fixture(scope="session", autouse=True)
    def whole(pytestconfig):
        yield
        pytestconfig.stash[STATE].evidence.record("went", os.getpid())
    class TestMLflowCircuitBreaker:
        def test_initial_state(self): told("a")
        def test_success_in_closed_state(self): told("b")
        def test_basic_failure_tracking(self): told("c")
        def test_status_reporting(self): told("d")
    """
    ran, told = _ran(tmp_path, text, "--processes=2")
    went = sorted(str(row.evidence["went"]) for row in ran.rows if "went" in row.evidence)
    assert went == sorted({process for process, _ in told})


def test_beside_processes_that_wait_more_are_started(tmp_path: Path) -> None:
    text = """
    def together():
        told("begun")
        while len({line.split()[0] for line in log.read_text().splitlines()}) < 4:
            time.sleep(0.05)
    class TestMLflowCircuitBreaker:
        def test_initial_state(self): together()
        def test_success_in_closed_state(self): together()
        def test_basic_failure_tracking(self): together()
        def test_status_reporting(self): together()
        def test_time_calculations(self): together()
        def test_configurable_parameters(self): together()
    """
    ran, told = _ran(tmp_path, text, "--processes=2")
    assert len(told) == 6
    assert {row.status for row in ran.rows if row.status is not Status.SKIPPED} == {Status.PASSED}


def test_what_one_process_learned_the_others_know(tmp_path: Path) -> None:
    text = """
    from hokusai_validation.observation import ErrorClass
    from hokusai_validation.resources import hanging
    SEEN = hanging.Asked("10.0.0.1", 80, "live")
    class TestMLflowCircuitBreaker:
        def test_initial_state(self):
            hanging.ended(SEEN, ErrorClass.READ_TIMEOUT)
            told("hung")
        def test_success_in_closed_state(self):
            while not log.exists():
                time.sleep(0.05)
            assert hanging.limit_of(SEEN, 10.0, "api") == hanging.LEAST_S
            told("known")
        def test_basic_failure_tracking(self): ...
    """
    _, told = _ran(tmp_path, text, "--processes=2")
    assert len({process for process, _ in told}) == 2
    assert [what for _, what in told] == ["hung", "known"]


def test_second_attempts_at_different_failures_are_made_side_by_side(tmp_path: Path) -> None:
    text = """
    from hokusai_validation.errors import ConnectionReset, ReadTimedOut
    def once(name, error):
        told(name)
        if sum(name in line for line in log.read_text().splitlines()) == 1:
            raise error("GET x: no answer.")
        told(name + "-began")
        while "first-began" not in log.read_text() or "second-began" not in log.read_text():
            time.sleep(0.01)
    class TestMLflowCircuitBreaker:
        def test_initial_state(self): once("first", ReadTimedOut)
        def test_success_in_closed_state(self): once("second", ConnectionReset)
    """
    ran, _ = _ran(tmp_path, text, "--processes=2")
    for each in ("test_initial_state", "test_success_in_closed_state"):
        assert ran.statuses(each) == [Status.FAILED, Status.PASSED]
