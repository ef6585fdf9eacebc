"""Telling people: an SNS topic and a webhook of Slack's form. A failure to deliver is an error, never
silence: the sensor that called fails visibly and tries again."""

import json
from collections.abc import Mapping

from pydantic import SecretStr

from hokusai_validation.errors import NotDelivered, RequestFailed
from hokusai_validation.resources.aws.calls import AwsCalls
from hokusai_validation.resources.http import HttpClient

TIMEOUT_S = 10.0


def post_webhook(url: SecretStr, body: Mapping[str, object]) -> None:
    """POST to an incoming webhook. The URL is itself a secret and never stands in a message.

    Raises NotDelivered."""
    try:
        with HttpClient(url.get_secret_value(), timeout_s=TIMEOUT_S) as client:
            status = client.post(url.get_secret_value(), json=body).status
    except RequestFailed as error:
        raise NotDelivered(f"The webhook could not be reached ({type(error).__name__}).") from None
    if status >= 300:
        raise NotDelivered(f"The webhook answered {status}: check `automation.webhook` of the target file.")


def publish(calls: AwsCalls, topic_arn: str, subject: str, text: str) -> None:
    """Publish to an SNS topic: `text` for people, the same in a JSON envelope for programs.

    Raises the leaves of AwsError."""
    calls.call(
        "sns",
        "publish",
        TopicArn=topic_arn,
        Subject=subject,
        Message=json.dumps({"default": text}),
        MessageStructure="json",
    )
