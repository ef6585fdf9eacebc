"""EventBridge's messages through SQS (by moto) to a run request. The messages are documented ones."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.automation.jobs import Job
from hokusai_validation.resources.aws.queue import event, region_of
from hokusai_validation_tests.automation import ecs
from hokusai_validation_tests.automation.ecs import Ecs
from hokusai_validation_tests.automation.test_deployments import Daemon

ECS_SERVICE = "arn:aws:ecs:us-east-1:123456789012:service/hokusai-test/api"


def of_ecs(name: str) -> str:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html"""
    return json.dumps(
        {
            "version": "0",
            "id": "ddca6449-b258-46c0-8653-e0e3a6EXAMPLE",
            "detail-type": "ECS Deployment State Change",
            "source": "aws.ecs",
            "account": "123456789012",
            "time": "2026-05-23T12:31:14Z",
            "region": "us-east-1",
            "resources": [ECS_SERVICE],
            "detail": {
                "eventType": "INFO",
                "eventName": name,
                "deploymentId": "ecs-svc/123",
                "updatedAt": "2026-05-23T11:11:11Z",
                "reason": "as documented",
            },
        }
    )


def of_code_deploy(state: str) -> str:
    """https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-cloudwatch-events.html"""
    return json.dumps(
        {
            "account": "123456789012",
            "region": "us-east-1",
            "detail-type": "CodeDeploy Deployment State-change Notification",
            "source": "aws.codedeploy",
            "version": "0",
            "time": "2026-06-30T22:06:31Z",
            "id": "c071bfbf-83c4-49ca-a6ff-3df053957145",
            "resources": [
                "arn:aws:codedeploy:us-east-1:123456789012:application:api",
                "arn:aws:codedeploy:us-east-1:123456789012:deploymentgroup:api/api",
            ],
            "detail": {
                "instanceGroupId": "9fd2fbef-2157-40d8-91e7-6845af69e2d2",
                "region": "us-east-1",
                "application": "api",
                "deploymentId": "d-123456789",
                "state": state,
                "deploymentGroup": "api",
            },
        }
    )


@pytest.mark.parametrize(
    ("body", "ended", "failed"),
    [
        (of_ecs("SERVICE_DEPLOYMENT_IN_PROGRESS"), False, None),
        (of_ecs("SERVICE_DEPLOYMENT_COMPLETED"), True, None),
        (of_ecs("SERVICE_DEPLOYMENT_FAILED"), True, None),
        (of_code_deploy("START"), False, None),
        (of_code_deploy("SUCCESS"), True, None),
        (of_code_deploy("FAILURE"), True, "d-123456789"),
        (of_code_deploy("STOP"), True, "d-123456789"),
        ("no JSON", False, None),
        ("[" * 100_000, False, None),
    ],
)
def test_what_a_message_tells(body: str, ended: bool, failed: str | None) -> None:
    told = event("r", body)
    assert (told.ended, told.failed) == (ended, failed)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.text() | json_values.map(json.dumps))
def test_any_body_is_a_message(body: str) -> None:
    assert event("r", body).receipt == "r"


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/q", "eu-west-1"),
        ("https://sqs-fips.us-gov-west-1.amazonaws.com/123456789012/q", "us-gov-west-1"),
        ("http://127.0.0.1:5000/123456789012/q", None),
    ],
)
def test_the_region_is_the_queues_own(url: str, region: str | None) -> None:
    assert region_of(url) == region


class Queue:
    """A queue of SQS, and the target that is told through it."""

    def __init__(self, stack: Ecs) -> None:
        self.client: Any = boto3.client(
            "sqs",
            region_name=ecs.REGION,
            endpoint_url=stack.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.url = self.client.create_queue(QueueName="deployments")["QueueUrl"]
        text = stack.target.read_text().replace(
            "[aws]\n", f'[automation]\ndeployment_queue_url = "{self.url}"\n[aws]\n', 1
        )
        stack.target.write_text(text)

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.client.send_message(QueueUrl=self.url, MessageBody=body)

    @property
    def waiting(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(each) for each in found.values())


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Ecs]:
    with ecs.running(tmp_path, ["api"]) as found:
        yield found


@pytest.fixture
def queue(stack: Ecs) -> Iterator[Queue]:
    made = Queue(stack)
    yield made
    made.client.delete_queue(QueueUrl=made.url)


@pytest.fixture
def daemon(stack: Ecs, queue: Queue) -> Iterator[Daemon]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(stack.target, instance)


def test_a_message_is_looked_into_at_once_and_duplicates_start_nothing(
    stack: Ecs, queue: Queue, daemon: Daemon
) -> None:
    [first] = daemon.tick()
    assert first.job_name == Job.VALIDATE.of("deployed")
    assert daemon.tick() == []
    from datetime import timedelta

    last = stack.roll_out("api", age=timedelta(seconds=1))
    assert daemon.tick() == []  # it is not time to look
    queue.send(*[of_ecs("SERVICE_DEPLOYMENT_COMPLETED")] * 13)
    [request] = daemon.tick()
    assert last in str(request.run_key)
    assert queue.waiting == 0
    queue.send(of_ecs("SERVICE_DEPLOYMENT_COMPLETED"), "what is this")
    assert daemon.tick() == []
    assert queue.waiting == 0


def test_a_message_comes_again_when_aws_fails(stack: Ecs, queue: Queue, daemon: Daemon) -> None:
    daemon.tick()
    queue.send(of_ecs("SERVICE_DEPLOYMENT_FAILED"))
    good = stack.target.read_text()
    stack.target.write_text(good.replace('service = "api"', 'service = "gone"'))
    with pytest.raises(Exception, match="none of the services gone"):
        daemon.tick()
    assert queue.waiting == 1


def test_what_runs_after_what_is_the_targets_to_say(stack: Ecs, queue: Queue, daemon: Daemon) -> None:
    daemon.tick()
    text = stack.target.read_text()
    stack.target.write_text(
        text.replace("[aws]\n", '[automation.after]\nfailed = "nothing"\nfinished = "light"\n[aws]\n', 1)
    )
    stack.roll_out("api", "FAILED")
    queue.send(of_ecs("SERVICE_DEPLOYMENT_FAILED"))
    assert daemon.tick() == []
    stack.roll_out("api")
    queue.send(of_ecs("SERVICE_DEPLOYMENT_COMPLETED"))
    [request] = daemon.tick()
    assert request.job_name == Job.LIGHT.of("deployed")
