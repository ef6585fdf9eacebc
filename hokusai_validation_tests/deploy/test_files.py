"""The files for AWS, linted, and what holds of every policy whoever calls."""

import subprocess
import sys
from pathlib import Path

import pytest

from hokusai_validation_tests.deploy.policies import DEPLOY, Stack, allowed_actions

PROGRAMS = Path(sys.executable).parent


def allowed(policy: str) -> set[str]:
    """Every action that a policy of the template allows."""
    return allowed_actions(Stack().statements(policy))


def test_the_template_has_no_fault() -> None:
    done = subprocess.run(
        [str(PROGRAMS / "cfn-lint"), str(DEPLOY / "stack.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_container_file_has_no_fault() -> None:
    done = subprocess.run(
        [str(PROGRAMS / "hadolint"), str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_what_the_container_file_copies_is_there() -> None:
    for line in (DEPLOY / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY") and "--from" not in line:
            for name in [word for word in line.split()[1:-1] if not word.startswith("--")]:
                assert (DEPLOY.parent / name).exists(), name


def test_reading_is_all_that_the_read_only_policy_allows() -> None:
    for action in allowed("ReadOnlyPolicy"):
        verb = action.partition(":")[2]
        assert verb.startswith(("Describe", "Get", "List", "Filter")), action


def test_faults_need_the_policy_apart_and_no_role_has_it() -> None:
    for name, resource in Stack().resources.items():
        if resource["Type"] == "AWS::IAM::Role":
            assert "ChaosPolicy" not in str(resource["Properties"]), name
    assert allowed("ChaosPolicy") & allowed("ReadOnlyPolicy") == set()


@pytest.mark.parametrize("policy", Stack().policies())
def test_no_policy_has_a_wildcard_action(policy: str) -> None:
    assert not [action for action in allowed(policy) if "*" in action]
