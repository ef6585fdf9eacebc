"""What the tests of a whole run ask of AWS, seen on the wire from every process, held against the
policies of the task that they are on AWS: nothing missing, nothing more."""

import pytest

from hokusai_sandbox.plan import BUCKET, CLUSTER, DATABASE_SECRET
from hokusai_validation_tests.deploy.operations import Call, arn
from hokusai_validation_tests.deploy.policies import Stack, allowed_actions
from hokusai_validation_tests.deploy.recorder import Recorder
from hokusai_validation_tests.whole.running import WholeRun

pytestmark = pytest.mark.sandbox

POLICY = "ReadOnlyPolicy"
OTHERS = "OtherReadsPolicy"  # of the same task: what not every account has


@pytest.fixture
def calls(whole_run: WholeRun, recorder: Recorder) -> frozenset[Call]:
    """Everything that the run asked."""
    return recorder.calls()


@pytest.fixture
def stack() -> Stack:
    """The template with the sandbox's names."""
    return Stack(
        {
            "ValidatedCluster": CLUSTER,
            "ValidatedBucketName": BUCKET,
            # An ARN ends in six characters that AWS makes up.
            "DatabaseSecretArn": arn("secretsmanager", f"secret:{DATABASE_SECRET}-??????"),
        }
    )


def test_nothing_is_missing(calls: frozenset[Call], stack: Stack) -> None:
    assert stack.refused(calls, POLICY, OTHERS) == []


def test_nothing_is_more(calls: frozenset[Call], stack: Stack) -> None:
    assert stack.unused(calls, POLICY) == {}


def test_an_action_that_is_taken_out_is_missed(calls: frozenset[Call], stack: Stack) -> None:
    """The comparison itself can fail, for every action."""
    for action in allowed_actions(stack.statements(POLICY)):
        without = {call for call in calls if call.action != action}
        assert stack.unused(without, POLICY) == {POLICY: {action}}


def test_names_of_others_are_out_of_reach(calls: frozenset[Call]) -> None:
    """With another stack's names in the policy, what has a name is refused."""
    others = {"ValidatedCluster": "others", "ValidatedBucketName": "others", "DatabaseSecretArn": "others"}
    refused = Stack(others).refused(calls, POLICY)
    for part in ("ecs:DescribeTasks", "ecs:ListTasks", "s3:ListBucket", "secretsmanager:GetSecretValue"):
        assert any(line.startswith(part) for line in refused), part
