"""The diagnosis on a real stack: five defects and two clean runs; the rest is `benchmarks.detection`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks import detection
from benchmarks.detection_cases import AT_REST, CASES, PAIRS, Case, Expected
from hokusai_sandbox.scenarios import find, names
from hokusai_sandbox.stack import Stack
from hokusai_validation.resources.secrets import secret
from hokusai_validation.result import Category
from hokusai_validation.target import read_target

FIVE = ("rollout_failed", "task_missing", "name_stale", "wrong_listener_rule", "database_stopped")


@contextmanager
def aws_states(stack: Stack, scenario: str) -> Iterator[None]:
    """A scenario's AWS states, put on a sandbox that is up and taken off again."""
    target = read_target(str(stack.target_file))
    assert target.control is not None
    token = secret(target.control.token, target).get_secret_value()
    base = f"http://{stack.status()['services']['aws']['address']}/_sandbox/states"
    states: list[dict[str, Any]] = [dict(each) for each in find(scenario).aws]
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=10, trust_env=False) as client:
        try:
            for state in states:
                name = state.pop("state")
                client.post(f"{base}/{name}", content=json.dumps(state)).raise_for_status()
            yield
        finally:
            client.delete(base).raise_for_status()


@pytest.mark.sandbox
@pytest.mark.parametrize("name", FIVE)
def test_a_defect_is_found_with_its_cause(name: str, sandbox: Stack, tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == name)
    with aws_states(sandbox, name):
        rows = detection.rows_of(sandbox.target_file, (Category.DISCOVERY,), tmp_path / "rows.jsonl")
    outcome = detection.judge_case(case, rows, read_target(str(sandbox.target_file)))
    assert outcome.cause_right, f"expected {outcome.expected}, found {outcome.found}"
    assert outcome.extra == []


@pytest.mark.sandbox
@pytest.mark.parametrize("time", [1, 2])
def test_a_clean_stack_has_no_finding(time: int, sandbox: Stack, tmp_path: Path) -> None:
    rows = detection.rows_of(sandbox.target_file, AT_REST, tmp_path / "rows.jsonl")
    outcome = detection.judge_case(Case("clean", ()), rows, read_target(str(sandbox.target_file)))
    assert outcome.found == []


@pytest.mark.soak
@pytest.mark.parametrize("case", [*CASES, *PAIRS], ids=lambda case: case.name)
def test_every_scenario_is_told(case: Case, tmp_path: Path) -> None:
    outcome = detection.run_case(case, tmp_path, None, full=False)
    assert not outcome.error
    assert outcome.cause_right, f"expected {outcome.expected}, found {outcome.found}"


def test_the_benchmark_covers_every_scenario_and_enough_pairs() -> None:
    assert {case.name for case in CASES} == set(names()) - {"clean"}
    assert len(CASES) >= 30
    assert len(PAIRS) >= 10
    for pair in PAIRS:
        find(pair.scenario)


def test_the_benchmark_counts_what_it_says() -> None:
    right = detection.Outcome("a", detected=True, component_right=True, cause_right=True, found=["x"])
    wrong = detection.Outcome("a+b", detected=True, extra=["y"], found=["y"])
    clean = detection.Outcome("clean-1", found=["z"])
    counted = detection.totals([right, wrong], [clean])
    assert {name: counted[name] for name in ("scenarios", "detected", "cause_right")} == {
        "scenarios": 2,
        "detected": 2,
        "cause_right": 1,
    }
    assert (counted["clean_runs"], counted["false_findings"], counted["pairs"]) == (1, 1, 1)
    assert "1 of 2" not in detection.markdown([right], [clean])
    assert Expected("x", "y", "P1", ("z",)).causes == ("x", "z")
