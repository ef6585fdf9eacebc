"""Hanging, dying, unimportable: there are rows for everything, always."""

import textwrap
from pathlib import Path

import pytest

from hokusai_validation.catalogue import entries
from hokusai_validation.result import Category, Status
from hokusai_validation_tests.suite_plugin.running import run_suite

UNIT = {entry.test for entry in entries(Category.UNIT)}


def test_a_hang_that_no_exception_reaches_ends_the_process_with_all_rows(tmp_path: Path) -> None:
    text = """
    import signal, time
    class TestMLflowCircuitBreaker:
        def test_initial_state(self):
            pass
        def test_force_reset(self):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
            time.sleep(600)
        def test_status_reporting(self):
            pass
    """
    ran = run_suite(tmp_path, {"test_file.py": text}, "--category=unit")
    assert ran.status == 3
    assert ran.statuses("test_initial_state") == [Status.PASSED]
    (hung,) = ran.of("test_force_reset")
    assert hung.status is Status.BROKEN
    assert "nor when it was interrupted" in hung.message
    assert "hung" in ran.of("test_status_reporting")[0].message
    assert {row.test for row in ran.rows} == UNIT


@pytest.mark.parametrize("ended", [0, 1, 3])
def test_a_process_that_is_killed_between_two_tests_leaves_the_rows_of_all_that_ended(
    tmp_path: Path, ended: int
) -> None:
    """Nothing runs after a SIGKILL, and no message was ever read."""
    text = f"""
    import os, signal
    import pytest
    @pytest.fixture(autouse=True)
    def killer(request):
        number = getattr(request.config, "number", 0)
        if number == {ended}:
            os.kill(os.getpid(), signal.SIGKILL)
        yield
        request.config.number = number + 1
    class TestMLflowCircuitBreaker:
        def test_initial_state(self): ...
        def test_force_reset(self): ...
        def test_status_reporting(self): ...
        def test_success_in_closed_state(self): ...
    """
    ran = run_suite(tmp_path, {"test_file.py": text}, "--category=unit")
    assert ran.status == -9
    names = ["test_initial_state", "test_force_reset", "test_status_reporting"]
    assert [row.test.rpartition("::")[2] for row in ran.rows] == names[:ended]


def test_a_file_that_cannot_be_imported_breaks_its_tests_and_no_others(tmp_path: Path) -> None:
    bad = """
    import no_such_module
    class TestMLflowCircuitBreaker:
        def test_initial_state(self): ...
        def test_force_reset(self): ...
    """
    good = """
    class TestGlobalCircuitBreaker:
        def test_reset_circuit_breaker(self): ...
    """
    ran = run_suite(tmp_path, {"test_bad.py": bad, "test_good.py": good}, "--category=unit")
    for function in ("test_initial_state", "test_force_reset"):
        (row,) = ran.of(function)
        assert row.status is Status.BROKEN
        assert row.message.startswith("never reported: test_bad.py can't be imported")
        assert "no_such_module" in row.message
    assert ran.statuses("test_reset_circuit_breaker") == [Status.PASSED]
    assert ran.of("test_status_reporting")[0].message == "not selected"  # not in this folder


def test_in_parallel_the_exclusive_tests_run_alone_and_a_dying_process_costs_one_row(tmp_path: Path) -> None:
    text = """
    import os, time, pathlib
    import pytest
    log = pathlib.Path(__file__).with_name("log")
    def busy(name):
        begun = time.time()
        time.sleep(0.2)
        with log.open("a") as out:
            out.write(f"{name} {begun} {time.time()}\\n")
    class TestMLflowCircuitBreaker:
        def test_initial_state(self): busy("shared")
        def test_force_reset(self): os._exit(9)
    class TestGlobalCircuitBreaker:
        def test_get_circuit_breaker_status(self): busy("shared")
        def test_reset_circuit_breaker(self): busy("shared")
    class TestCircuitBreakerIntegration:
        def test_circuit_breaker_with_mlflow_operations(self): busy("alone")
        def test_circuit_breaker_recovery(self): busy("alone")
    """
    target = """
    name = "stub"
    [breaker]
    path = "a:B"
    [[instances]]
    name = "api-1"
    url = "http://127.0.0.1:1"
    [links]
    url = "http://127.0.0.1:1"
    [permissions]
    faults = ["refuse", "reset"]
    """
    ran = run_suite(tmp_path, {"test_file.py": text}, "--category=unit", "--processes=2", target=target)
    assert {row.test for row in ran.rows} == UNIT
    (died,) = ran.of("test_force_reset")
    assert (died.status, died.message) == (Status.BROKEN, "the test process died while it ran")
    ended = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    times = sorted((float(begun), float(end), name) for name, begun, end in ended)
    assert len(times) == 5
    for begun, end, name in times:
        for other_begun, other_end, other in times:
            if (begun, name) != (other_begun, other) and "alone" in (name, other):
                assert end <= other_begun or other_end <= begun


def test_a_target_that_lacks_a_part_skips_before_any_fixture(tmp_path: Path) -> None:
    text = """
    class TestMLflowCircuitBreaker:
        def test_initial_state(self, no_such_fixture): ...
    """
    ran = run_suite(tmp_path, {"test_file.py": text}, "--category=unit", target='name = "bare"\n')
    (row,) = ran.of("test_initial_state")
    assert (row.status, row.message) == (Status.SKIPPED, "no breaker source configured")


@pytest.mark.parametrize("arguments", [("--critical-only",), ("-k", "initial_state")])
def test_what_was_not_asked_for_says_so(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    text = """
    class TestMLflowCircuitBreaker:
        def test_initial_state(self): ...
        def test_success_in_closed_state(self): ...
    """
    ran = run_suite(tmp_path, {"test_file.py": text}, "--category=unit", *arguments)
    assert ran.statuses("test_initial_state") == [Status.PASSED]
    (row,) = ran.of("test_success_in_closed_state")
    assert (row.status, row.message) == (Status.SKIPPED, "not selected")
    assert {row.test for row in ran.rows} == UNIT


UNSHOWABLE = {
    "a line that is not known": """
        def broken(): raise ValueError("of no line")
        broken.__code__ = broken.__code__.replace(co_linetable=b"")
        broken()
    """,
    "a text that raises": """
        class Odd(Exception):
            def __str__(self): raise RuntimeError("no text")
            __repr__ = __str__
        raise Odd()
    """,
    "a cause that is itself": """
        error = ValueError("its own cause")
        error.__cause__ = error
        raise error
    """,
}


@pytest.mark.parametrize("case", UNSHOWABLE)
def test_an_error_that_can_not_be_shown_breaks_its_test_and_no_other(tmp_path: Path, case: str) -> None:
    text = f"""
class TestMLflowCircuitBreaker:
    def test_initial_state(self):
{textwrap.indent(textwrap.dedent(UNSHOWABLE[case]), " " * 8)}
    def test_status_reporting(self):
        pass
"""
    ran = run_suite(tmp_path, {"test_file.py": text}, "--category=unit")
    row = ran.of("test_initial_state")[-1]
    assert row.status is Status.BROKEN
    assert any(name in row.message for name in ("ValueError", "Odd"))
    assert ran.statuses("test_status_reporting") == [Status.PASSED]
    assert {row.test for row in ran.rows} == UNIT
