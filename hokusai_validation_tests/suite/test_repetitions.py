"""The same outcome every time, in any order: every test leaves the target as it found it."""

from pathlib import Path

import pytest

from hokusai_sandbox.stack import Stack
from hokusai_validation.catalogue import entries
from hokusai_validation.result import Phase, Status
from hokusai_validation_tests.suite.suite_runs import SuiteRuns

ROUNDS = 10
REPETITIONS = 200
READING = (Phase.ENVIRONMENT, Phase.DISCOVERY, Phase.HEALTH)  # what follows registers models and adds keys


@pytest.mark.soak
@pytest.mark.sandbox
def test_integration_ten_times_in_random_order(sandbox: Stack, tmp_path: Path) -> None:
    with SuiteRuns(tmp_path) as runs:
        for seed in range(ROUNDS):
            rows = runs.run(
                sandbox.target_file,
                "--category=integration",
                files=("test_health_endpoints.py",),
                seed=seed + 1,
            )
            outcome = {row.id: (row.status, row.message) for row in rows.values() if row.id.startswith("I")}
            assert len(outcome) == 23
            assert {status for status, _ in outcome.values()} == {Status.PASSED}, (seed, outcome)
            assert not any(row.flaky for row in rows.values()), seed


@pytest.mark.soak
@pytest.mark.sandbox
def test_read_only_tests_two_hundred_times(sandbox: Stack, tmp_path: Path) -> None:
    reading = {entry.id for entry in entries() if entry.phase in READING and not entry.exclusive}
    exclusive = [entry.test for entry in entries() if entry.phase in READING and entry.exclusive]
    changing = [test.rpartition("::")[2].partition("[")[0] for test in exclusive]
    assert len(reading) == 68
    with SuiteRuns(tmp_path) as runs:
        for repetition in range(REPETITIONS):
            rows = runs.run(
                sandbox.target_file,
                *(f"--phase={phase.value}" for phase in READING),
                "-k",
                f"not ({' or '.join(changing)})",
                files=(".",),
                seed=repetition + 1,
            )
            bad = {
                row.id: row.message for row in rows.values() if row.status is not Status.PASSED or row.flaky
            }
            assert not bad, repetition
            assert {row.id for row in rows.values()} == reading
