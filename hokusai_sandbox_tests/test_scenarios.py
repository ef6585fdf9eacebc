"""Scenarios: each is possible, joined ones are both, and a sample is started and looked at."""

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_sandbox.aws.states import States
from hokusai_sandbox.changes.applied import kinds
from hokusai_sandbox.gateway.defects import DEFECTS
from hokusai_sandbox.plan import EDGES, INSTANCES
from hokusai_sandbox.scenarios import Scenario, find, names
from hokusai_sandbox.scenarios.catalogue import SCENARIOS
from hokusai_sandbox.stack import Stack
from hokusai_sandbox_tests.aids import Sandbox

NAMES = sorted(names())


def test_there_are_at_least_thirty_and_no_name_twice() -> None:
    assert len(SCENARIOS) > 30
    assert len(names()) == len(SCENARIOS)
    assert all(item.summary for item in SCENARIOS)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_scenario_names_exists(name: str) -> None:
    scenario = find(name)
    known = {defect.name for defect in DEFECTS.values()}
    for defect in scenario.defects:
        base, _, instance = defect.partition("@")
        assert base.partition("=")[0] in known
        assert instance in ("", *INSTANCES)
    for state in scenario.aws:
        values = dict(state)
        method = getattr(States, f"_set_{values.pop('state')}")
        inspect.signature(method).bind(None, **values)
    for change in scenario.changes:
        assert change["do"] in kinds()
    for edge in (*scenario.upstreams, *(edge for item in scenario.changes for edge in item.get("edges", ()))):
        assert edge in EDGES
    assert set(scenario.absent) <= {"mlflow", "auth", "redis", "api-1", "api-2", "postgres"}


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
def test_joined_scenarios_have_what_each_has(chosen: list[str]) -> None:
    joined = find("+".join(chosen))
    for name in chosen:
        one = find(name)
        for key in ("defects", "aws", "absent", "changes"):
            assert set(map(str, getattr(one, key))) <= set(map(str, getattr(joined, key)))
        for key in ("api", "auth", "mlflow", "postgres", "upstreams"):
            mapping: Mapping[str, Any] = getattr(one, key)
            assert mapping.keys() <= getattr(joined, key).keys()
        assert joined.redis_deployed <= one.redis_deployed


def test_no_scenario_is_the_clean_one() -> None:
    assert find(None) == find("clean") == find("")
    assert find("clean") == Scenario("clean", "Nothing is wrong.")


@pytest.mark.sandbox
def test_a_pair_of_scenarios_is_really_there(tmp_path: Path) -> None:
    """Both defects of a joined one, seen from outside."""
    with Stack.start(tmp_path, "one_bad_instance+rollout_failed+certificate_expiring") as stack:
        up = Sandbox(stack)
        assert up.control("GET", "/aws") == {"rollout_failed": {"component": "api"}}
        up.control("POST", "/reset")  # takes faults off, not what the sandbox was started with
        assert up.control("GET", "/aws") == {"rollout_failed": {"component": "api"}}
        with up.client() as client:
            seen = {client.get("/health").json()["status"] for _ in range(8)}
        assert len(seen) == 2


@pytest.mark.sandbox
@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_each_scenario_comes_up(name: str, tmp_path: Path) -> None:
    with Stack.start(tmp_path, name) as stack:
        up = Sandbox(stack)
        assert up.status["scenario"] == name
        running = {item for item, found in up.status["services"].items() if found["state"] == "running"}
        assert running == set(up.status["services"])
        assert {os.fspath(up.stack.target_file)} == {up.status["target"]}
