"""A suite that stands still blames nobody: the test that ran is broken, and asked again."""

from pathlib import Path

from hokusai_validation.result import Status
from hokusai_validation.runner.stall import Clocks, StallWatch
from hokusai_validation_tests.suite_plugin.running import run_suite

# Stopped from outside in the middle of a test that measures, as `kill -STOP` or a hypervisor does.
FILE = """
import os, signal, subprocess, sys, time
from hokusai_validation.facts import FactKind

STOPPER = "import os, signal, sys, time; os.kill(int(sys.argv[1]), signal.SIGSTOP); time.sleep(2.5); os.kill(int(sys.argv[1]), signal.SIGCONT)"
tries = []

class TestMLflowCircuitBreaker:
    def test_initial_state(self, evidence):
        tries.append(1)
        began = time.monotonic()
        if len(tries) == 1:
            subprocess.Popen([sys.executable, "-c", STOPPER, str(os.getpid())])
            while time.monotonic() - began < 2:
                time.sleep(0.01)
        if time.monotonic() - began > 1:
            evidence.fact(FactKind.EVENT_LOOP_BLOCKED, "api", "no answer for 2 s")
        assert time.monotonic() - began < 1, "the event loop is blocked"

    def test_basic_failure_tracking(self):
        assert 3 == 2, "that is the target's"
"""


def test_a_suspended_suite_breaks_its_row_and_asks_again(tmp_path: Path) -> None:
    ran = run_suite(tmp_path, {"test_file.py": FILE}, "--category=unit")
    first, second = ran.of("test_initial_state")
    assert first.status is Status.BROKEN
    assert "The suite itself stood still for" in first.message
    assert first.facts == ()
    assert (second.status, second.flaky) == (Status.PASSED, False)
    assert ran.statuses("test_basic_failure_tracking") == [Status.FAILED, Status.FAILED]


def test_a_sleeping_machine_is_a_stall_and_a_tick_is_none() -> None:
    now = [Clocks(0.0, 0.0)]
    watch = StallWatch(lambda: now[0])
    for step in range(1, 20):
        now[0] = Clocks(step * 0.3, step * 0.3)
        watch.look()
    assert watch.since(0.0) == ()
    now[0] = Clocks(6.0, 3600.0)  # the monotonic clock stands while a machine sleeps
    (stall,) = watch.since(0.0)
    assert stall.lasted_s > 3000
    now[0] = Clocks(6.5, 3600.5)
    assert watch.since(6.1) == ()
