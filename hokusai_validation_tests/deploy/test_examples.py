"""The examples for other tools use what there is: metrics, options, and answers as AWS takes them."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from hokusai_validation.cli import cli
from hokusai_validation.reporting import emf, openmetrics
from hokusai_validation_tests.reporting.sample import report

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
METRIC = re.compile(r"\bhokusai_validation_\w+")


@pytest.mark.parametrize("name", ["alerts.yaml", "grafana-dashboard.json"])
def test_every_metric_is_one_that_a_run_writes(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert yaml.safe_load(text)  # JSON is YAML as well
    written = set(METRIC.findall(openmetrics.render(report()).decode()))
    assert set(METRIC.findall(text)) <= written


def test_the_workflow_uses_options_that_there_are() -> None:
    text = (EXAMPLES / "github-workflow.yml").read_text(encoding="utf-8")
    steps = yaml.safe_load(text)["jobs"]["validate"]["steps"]
    command = next(step["run"] for step in steps if step.get("name") == "validate")
    known = CliRunner().invoke(cli, ["run", "--help"]).output
    assert all(option in known for option in re.findall(r"--[\w-]+", command))


def test_embedded_metrics_are_whole_documents() -> None:
    for line in emf.render(report()).decode().splitlines():
        document = json.loads(line)
        directive = document["_aws"]["CloudWatchMetrics"][0]
        assert directive["Namespace"] == "HokusaiValidation"
        assert len(directive["Metrics"]) <= 100
        assert len(directive["Dimensions"][0]) <= 30
        assert all(isinstance(document[each["Name"]], int | float) for each in directive["Metrics"])
        assert all(isinstance(document[each], str) for each in directive["Dimensions"][0])


class Aws:
    """ECS and CodeDeploy as the hook calls them; a task that has ended with a status (None: it runs)."""

    def __init__(self, status: int | None) -> None:
        self.status = status
        self.started: list[dict[str, Any]] = []
        self.told: list[str] = []

    def client(self, name: str) -> "Aws":
        return self

    def run_task(self, **request: Any) -> dict[str, Any]:
        self.started.append(request)
        return {"tasks": [{"taskArn": "arn:task"}], "failures": []}

    def describe_tasks(self, **_: Any) -> dict[str, Any]:
        state = "RUNNING" if self.status is None else "STOPPED"
        containers = [{"name": "validation", "exitCode": self.status}]
        return {"tasks": [{"lastStatus": state, "containers": containers}]}

    def put_lifecycle_event_hook_execution_status(self, **request: str) -> None:
        self.told.append(request["status"])


class Context:
    """What Lambda gives: time for one look."""

    def __init__(self) -> None:
        self.left_ms = [100_000]

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms.pop() if self.left_ms else 0


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("hook", EXAMPLES / "codedeploy_hook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("CLUSTER", "TASK_DEFINITION", "SUBNETS", "SECURITY_GROUPS", "TARGET"):
        monkeypatch.setenv(name, name.lower())
    monkeypatch.setattr(module, "WAIT_S", 0)
    return module


@pytest.mark.parametrize(
    ("status", "told"), [(0, "Succeeded"), (1, "Failed"), (3, "Failed"), (None, "Failed")]
)
def test_codedeploy_is_told_of_the_verdict(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch, status: int | None, told: str
) -> None:
    aws = Aws(status)
    monkeypatch.setattr(hook, "boto3", aws)
    hook.handler({"DeploymentId": "d", "LifecycleEventHookExecutionId": "l"}, Context())
    assert aws.told == [told]
    command = aws.started[0]["overrides"]["containerOverrides"][0]["command"]
    assert command[:3] == ["hokusai-validation", "run", "target"]


@pytest.mark.parametrize(
    ("status", "told"), [(0, "SUCCEEDED"), (1, "FAILED"), (3, "FAILED"), (None, "IN_PROGRESS")]
)
def test_ecs_is_answered_and_asks_again_while_the_task_runs(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch, status: int | None, told: str
) -> None:
    aws = Aws(status)
    monkeypatch.setattr(hook, "boto3", aws)
    answer = hook.handler({"executionDetails": {}}, Context())
    assert answer["hookStatus"] == told
    if status is None:
        hook.handler({"hookDetails": answer["hookDetails"]}, Context())
        assert len(aws.started) == 1
