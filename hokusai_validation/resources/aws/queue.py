"""Deployments as EventBridge tells of them, through a queue of SQS. What a message says is a reason to
look, never the truth: delivery is at least once, out of order, and best effort."""

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from hokusai_validation.resources.aws.calls import AwsCalls

A_CALL = 10  # messages that one call gives or takes at most
CALLS = 5
WAIT_S = 2  # long polling asks all of SQS's servers; short polling misses messages

_REGION = re.compile(r"^https?://(?:queue\.|sqs(?:-fips)?\.)?([a-z]{2}(?:-[a-z]+)+-\d)\b")
_ECS_ENDS = {"SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_DEPLOYMENT_FAILED"}
# https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-cloudwatch-events.html
_CODE_DEPLOY_ENDS = {"SUCCESS", "FAILURE", "STOP"}


class _Envelope(BaseModel):
    """EventBridge's own form: https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html"""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: str
    resources: tuple[str, ...] = ()
    detail: dict[str, Any] = {}


class DeploymentEvent(BaseModel):
    """One message: whether it tells of an end, and which deployment of CodeDeploy failed by it."""

    model_config = ConfigDict(frozen=True)

    receipt: str
    ended: bool = False
    failed: str | None = None
    resources: tuple[str, ...] = ()


def receive(calls: AwsCalls, url: str) -> tuple[DeploymentEvent, ...]:
    """What waits in the queue, at most 50 messages. They come back unless `remove` takes them away.

    Raises the leaves of AwsError."""
    found: list[DeploymentEvent] = []
    for number in range(CALLS):
        answer = calls.call(
            "sqs",
            "receive_message",
            QueueUrl=url,
            MaxNumberOfMessages=A_CALL,
            WaitTimeSeconds=WAIT_S if number == 0 else 0,
        )
        messages = answer.get("Messages") or ()
        found += [event(each["ReceiptHandle"], each.get("Body", "")) for each in messages]
        if len(messages) < A_CALL:
            break
    return tuple(found)


def remove(calls: AwsCalls, url: str, events: Sequence[DeploymentEvent]) -> None:
    """Take messages that were acted upon out of the queue.

    Raises the leaves of AwsError."""
    for start in range(0, len(events), A_CALL):
        entries = [
            {"Id": str(number), "ReceiptHandle": each.receipt}
            for number, each in enumerate(events[start : start + A_CALL])
        ]
        calls.call("sqs", "delete_message_batch", QueueUrl=url, Entries=entries)


def event(receipt: str, body: str) -> DeploymentEvent:
    """A message as ours. Pure; what is no event of a deployment is one that tells of nothing."""
    try:
        told = _Envelope.model_validate(json.loads(body))
    except (ValueError, ValidationError, RecursionError):
        return DeploymentEvent(receipt=receipt)
    if told.source == "aws.ecs":
        ended = told.detail.get("eventName") in _ECS_ENDS
        return DeploymentEvent(receipt=receipt, ended=ended, resources=told.resources)
    if told.source == "aws.codedeploy":
        state, name = told.detail.get("state"), told.detail.get("deploymentId")
        failed = str(name) if state in ("FAILURE", "STOP") and name else None
        return DeploymentEvent(
            receipt=receipt, ended=state in _CODE_DEPLOY_ENDS, failed=failed, resources=told.resources
        )
    return DeploymentEvent(receipt=receipt)


def region_of(url: str) -> str | None:
    """The region that a queue's address names, where it names one."""
    match = _REGION.match(url)
    return match.group(1) if match else None
