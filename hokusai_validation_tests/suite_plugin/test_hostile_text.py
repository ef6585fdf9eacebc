"""What a target says may be no text at all, or steer a terminal: each test still has its row."""

from pathlib import Path

from hokusai_validation_tests.suite_plugin.running import run_suite

HOSTILE = r"lone \udc80 surrogate, \x1b]0;title\x07 and \x1b[2J, \u202e"


def test_no_text_of_a_target_ends_the_suite_or_reaches_the_terminal_raw(tmp_path: Path) -> None:
    file = f'''
    import pytest
    SAID = "{HOSTILE}"

    class TestMLflowCircuitBreaker:
        def test_initial_state(self, evidence):
            evidence.record("said", {{SAID: [SAID]}})
            print(SAID[27:])
            assert not SAID, SAID

        def test_basic_failure_tracking(self, evidence):
            raise RuntimeError(SAID)

        def test_force_reset(self):
            pytest.skip(SAID)
    '''
    ran = run_suite(tmp_path, {"test_circuit_breaker.py": file}, "-rA")
    assert ran.statuses("test_initial_state")[-1].value == "failed", ran.of("test_initial_state")
    assert [row.status.value for row in ran.of("test_basic_failure_tracking")][-1] == "broken"
    assert [row.status.value for row in ran.of("test_force_reset")][-1] == "skipped"
    assert "lone \ufffd surrogate" in ran.of("test_initial_state")[0].message
    assert "\x1b" not in ran.output
    assert "\x07" not in ran.output
