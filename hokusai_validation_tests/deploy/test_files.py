"""The files for AWS, linted, and the least privilege compared with what is really called."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from hokusai_validation_tests.deploy.conftest import DEPLOY

PROGRAMS = Path(sys.executable).parent
PACKAGE = DEPLOY.parent / "hokusai_validation"


class _CloudFormation(yaml.SafeLoader):
    """Reads `!Ref` and its like as plain values."""


_CloudFormation.add_multi_constructor("!", lambda loader, suffix, node: str(node.value))


def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((DEPLOY / "stack.yaml").read_text(), Loader=_CloudFormation)
    return loaded


def allowed(policy: str) -> set[str]:
    """Every action that a policy of the template allows."""
    statements = template()["Resources"][policy]["Properties"]["PolicyDocument"]["Statement"]
    actions: set[str] = set()
    for statement in statements:
        value = statement["Action"]
        actions |= {value} if isinstance(value, str) else set(value)
    return actions


def called(folder: Path) -> set[tuple[str, str]]:
    """Every `calls.call("service", "operation")` and `.pages(…)` in some source."""
    found = set()
    for path in folder.glob("aws*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                texts = [arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant)]
                if node.func.attr in ("call", "pages") and len(texts) == 2:
                    found.add((str(texts[0]), str(texts[1])))
    return found


def actions(calls: set[tuple[str, str]]) -> set[str]:
    """As IAM names them."""
    special = {"s3:HeadBucket": "s3:ListBucket", "s3:ListObjectsV2": "s3:ListBucket"}
    names = set()
    for service, operation in calls:
        client = boto3.client(service, region_name="us-east-1")
        prefix = {"elbv2": "elasticloadbalancing"}.get(service, service)
        name = f"{prefix}:{client.meta.method_to_api_mapping[operation]}"
        names.add(special.get(name, name))
    return names


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


def test_the_read_only_policy_is_what_the_checks_call() -> None:
    # Who one is may always be asked.
    expected = actions(called(PACKAGE / "resources")) - {"sts:GetCallerIdentity"}
    assert allowed("ReadOnlyPolicy") == expected


def test_reading_is_all_that_the_read_only_policy_allows() -> None:
    for action in allowed("ReadOnlyPolicy"):
        verb = action.partition(":")[2]
        assert verb.startswith(("Describe", "Get", "List", "Filter")), action


def test_faults_need_the_policy_apart_and_no_role_has_it() -> None:
    resources = template()["Resources"]
    for name, resource in resources.items():
        if resource["Type"] == "AWS::IAM::Role":
            assert "ChaosPolicy" not in str(resource["Properties"]), name
    assert allowed("ChaosPolicy") & allowed("ReadOnlyPolicy") == set()


@pytest.mark.parametrize("policy", ["ReadOnlyPolicy", "ChaosPolicy", "RuntimePolicy"])
def test_no_policy_has_a_wildcard_action(policy: str) -> None:
    assert not [action for action in allowed(policy) if "*" in action]
