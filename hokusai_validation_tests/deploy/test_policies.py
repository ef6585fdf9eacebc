"""The policies of `deploy/stack.yaml` held against what a validation on AWS was seen to ask for:
nothing missing, nothing more. What the tests of a run read is in `whole/test_aws_calls.py`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import boto3
import pytest

from hokusai_validation.result import Phase
from hokusai_validation_tests.deploy import fargate, recorded
from hokusai_validation_tests.deploy.account import CHAOS, CONTROL, SUITE, Account, environment
from hokusai_validation_tests.deploy.conftest import Postgres, task_metadata
from hokusai_validation_tests.deploy.operations import Call, arn
from hokusai_validation_tests.deploy.policies import Stack, allowed_actions, many
from hokusai_validation_tests.deploy.recorder import recording

# Policy -> who was seen to use it. Those of the suite's own look-ups are compared with a whole run.
USERS = {
    "DeploymentsPolicy": CONTROL,
    "RuntimePolicy": CONTROL,
    "PassRolesPolicy": CONTROL,
    "WebhookPolicy": CONTROL,
    "MessagesPolicy": SUITE,
    "ChaosPolicy": CHAOS,
}
ELSEWHERE = {"ReadOnlyPolicy"}
# For stacks of another kind than the contract's, and for what parameters name: nothing in the recorded
# operation uses them. What the calls of the first need is in `suite_aws/test_documented.py`.
OPTIONAL = {
    "OtherReadsPolicy",
    "TargetSecretsPolicy",
    "KeysPolicy",
    "TargetRolesPolicy",
    "QueuePolicy",
    "ExecPolicy",
}
# Actions on everything that IAM could narrow, and why they are not narrowed.
WIDE = {"cloudwatch:GetMetricData": "the resources that it knows are data sets, which the stack has none of"}


@dataclass(frozen=True)
class Seen:
    """The template with the account's names, and what was asked for with each access key."""

    stack: Stack
    calls: Mapping[str, frozenset[Call]]

    def policies_of(self, who: str) -> list[str]:
        """Everything that the one who asks may have, but for what parameters add."""
        role = "ControlRole" if who == CONTROL else "TaskRole"
        given = [name for name in self.stack.policies_of(role) if name not in OPTIONAL]
        return given + (["ChaosPolicy"] if who == CHAOS else [])


@pytest.fixture(scope="module")
def seen(postgres_server: Postgres, moto: str, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Runs launched as tasks, a run with a phase in a task, sensors and faults: once for all tests."""
    with recording(moto) as recorder, pytest.MonkeyPatch.context() as patched:
        for name, value in {**environment(recorder.url), **postgres_server.environment}.items():
            patched.setenv(name, value)
        patched.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the keys that it found first
        account = Account(moto, recorder.url, tmp_path_factory.mktemp("account"))
        with recorded.instance() as instance:
            with task_metadata(fargate.CLUSTER, account.daemon):
                recorded.launch(account, instance)
            recorded.tick(account, instance)
            recorded.read_logs(recorded.validate(account, instance, Phase.DISCOVERY))
            recorded.tell(account, instance)
        patched.setenv("AWS_ACCESS_KEY_ID", CHAOS)
        recorded.inject(account)
        account.fargate.close()
        calls = {who: recorder.calls(who) for who in (CONTROL, SUITE, CHAOS)}
    return Seen(account.stack, {**calls, CONTROL: calls[CONTROL] | passed(account.stack)})


def passed(stack: Stack) -> frozenset[Call]:
    """What ECS asks of IAM when a task is started: may its roles be given to it?"""
    keys = (("iam:PassedToService", "ecs-tasks.amazonaws.com"),)
    return frozenset(
        Call(CONTROL, "iam:PassRole", stack.resources[definition]["Properties"][role], keys)
        for definition in ("RunTask", "SuiteTask")
        for role in ("TaskRoleArn", "ExecutionRoleArn")
    )


@pytest.mark.parametrize("who", [CONTROL, SUITE, CHAOS])
def test_nothing_is_missing(seen: Seen, who: str) -> None:
    assert len(seen.calls[who]) > 5
    assert seen.stack.refused(seen.calls[who], *seen.policies_of(who)) == []


@pytest.mark.parametrize("policy", USERS)
def test_nothing_is_more(seen: Seen, policy: str) -> None:
    assert seen.stack.unused(seen.calls[USERS[policy]], policy) == {}


def test_no_policy_is_left_out(seen: Seen) -> None:
    assert set(seen.stack.policies()) == USERS.keys() | ELSEWHERE | OPTIONAL
    assert set(seen.policies_of(CONTROL)) == {name for name, who in USERS.items() if who == CONTROL}


@pytest.mark.parametrize("policy", USERS)
def test_an_action_that_is_taken_out_is_missed(seen: Seen, policy: str) -> None:
    """The comparison itself can fail, for every action."""
    who = USERS[policy]
    for action in allowed_actions(seen.stack.statements(policy)):
        without = {call for call in seen.calls[who] if call.action != action}
        assert action in seen.stack.unused(without, policy)[policy], action
        others = [name for name in seen.policies_of(who) if name != policy]
        asked = {call for call in seen.calls[who] if call.action == action}
        elsewhere = action in allowed_actions(seen.stack.statements(*others))
        assert elsewhere or seen.stack.refused(asked, *others), action


def test_the_suites_task_cannot_change_what_is_on_record(seen: Seen) -> None:
    bucket = "arn:aws:s3:::hokusai-validation-policies"
    for key in ("results/reports/t/latest/report.json", "compute-logs/storage/x/1.err"):
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
            call = Call(SUITE, action, f"{bucket}/{key}")
            assert seen.stack.refused([call], *seen.policies_of(SUITE)) == [str(call)]


def test_another_cluster_is_out_of_reach(seen: Seen) -> None:
    keys = (("ecs:cluster", arn("ecs", "cluster/others")), ("ecs:CreateAction", "RunTask"))
    for action, resource in (
        ("ecs:StopTask", arn("ecs", "task/others/1")),
        ("ecs:TagResource", arn("ecs", "task/others/1")),
        ("ecs:RunTask", arn("ecs", "task-definition/hokusai-validation-run-x:1")),
        ("ecs:ListTasks", "*"),
    ):
        for who in (CONTROL, CHAOS):
            assert seen.stack.refused([Call(who, action, resource, keys)], *seen.policies_of(who))


@cache
def known_actions() -> Mapping[str, Mapping[str, Any]]:
    """AWS's own list of actions, each with the kinds of resource that it can be narrowed to."""
    listed = files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json")
    return {
        f"{service}:{action}": value
        for service, found in json.loads(listed.read_text()).items()
        for action, value in found["Actions"].items()
    }


@pytest.mark.parametrize("policy", [*USERS, *ELSEWHERE, *sorted(OPTIONAL)])
def test_every_action_is_known_and_narrowed_where_it_can_be(policy: str) -> None:
    for statement in Stack().statements(policy):
        wide = "*" in many(statement["Resource"]) and "Condition" not in statement
        for action in many(statement["Action"]):
            known = known_actions()[action.lower()]
            assert not wide or "Resources" not in known or action in WIDE, action
