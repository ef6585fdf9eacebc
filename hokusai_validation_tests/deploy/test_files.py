"""The files for AWS, linted, and what holds of every policy whoever calls."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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


def test_an_image_holds_no_file_of_secrets() -> None:
    """Docker's own rule: the last line that fits decides, so these stand last."""
    lines = [
        line
        for line in (DEPLOY.parent / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert lines[0] == "*"
    assert {"**/*.env", "**/.env*"} <= set(lines[max(i for i, line in enumerate(lines) if line[0] == "!") :])


@pytest.mark.parametrize("policy", ["TargetSecretsPolicy", "KeysPolicy", "TargetRolesPolicy", "QueuePolicy"])
def test_what_a_parameter_names_is_all_that_its_policy_allows(policy: str) -> None:
    stack = Stack()
    assert "Condition" in stack.resources[policy]
    [statement] = stack.statements(policy)
    assert statement["Resource"] != "*"
    assert str(statement["Resource"]).endswith(("Arns", "Arn"))


def test_what_is_kept_ends_by_rule() -> None:
    rules = Stack().resources["Results"]["Properties"]["LifecycleConfiguration"]["Rules"]
    kinds = {name for rule in rules for name in rule}
    assert {"ExpirationInDays", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"} <= kinds
    settings = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    assert settings["retention"]["sensor"]["purge_after_days"]["skipped"] == 7
    assert settings["compute_logs"]["config"]["upload_interval"] > 0
