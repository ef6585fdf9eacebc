"""A gateway that asks MLflow with blocking retries in its health endpoints, and the same chaos
tests: they fail, and say what stopped answering."""

from pathlib import Path

import pytest

from hokusai_sandbox.stack import Stack
from hokusai_validation.result import Status
from hokusai_validation_tests.suite.mutated_gateway import Gateways
from hokusai_validation_tests.suite.suite_runs import SuiteRuns

SAYS = "/live of api-1 stopped answering while MLflow was away"
CHOSEN = "test_mlflow_complete_failure_recovery or test_network_partition_simulation"


def fails_and_says_so(target_file: Path, folder: Path) -> None:
    """C1 and C6 fail on this target, and say why."""
    with SuiteRuns(folder) as runs:
        rows = runs.run(target_file, "-k", CHOSEN, files=("test_failure_recovery.py",))
    found = {row.id: row for row in rows.values() if row.id in ("C1", "C6")}
    seen = {name: (row.status, row.message) for name, row in found.items()}
    assert {name: row.status for name, row in found.items()} == {"C1": Status.FAILED, "C6": Status.FAILED}, (
        seen
    )
    for row in found.values():
        assert SAYS in row.message
        assert "event_loop_blocked" in {fact.kind.value for fact in row.facts}


@pytest.mark.sandbox
def test_c1_and_c6_fail_and_say_that_live_stopped_answering(sandbox: Stack, tmp_path: Path) -> None:
    gateways = Gateways(sandbox, tmp_path)
    try:
        with gateways.with_defects("blocks_on_health") as gateway:
            fails_and_says_so(gateway.target_file, tmp_path)
    finally:
        gateways.close()


@pytest.mark.sandbox
@pytest.mark.soak
def test_a_whole_stack_of_them_fails_and_says_so(tmp_path: Path) -> None:
    with Stack.start(tmp_path / "sandbox", scenario="blocks_on_health") as stack:
        fails_and_says_so(stack.target_file, tmp_path)


@pytest.mark.sandbox
@pytest.mark.soak
def test_one_that_blocks_for_two_minutes_and_wants_a_key_is_judged_all_the_same(tmp_path: Path) -> None:
    with (
        Stack.start(tmp_path / "sandbox", scenario="blocks_for_two_minutes") as stack,
        SuiteRuns(tmp_path) as runs,
    ):
        rows = runs.run(stack.target_file, "-k", CHOSEN, files=("test_failure_recovery.py",))
    found = {row.id: (row.status, row.message) for row in rows.values() if row.id in ("C1", "C6")}
    assert {name: status for name, (status, _) in found.items()} == {
        "C1": Status.FAILED,
        "C6": Status.FAILED,
    }, found
