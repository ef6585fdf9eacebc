"""Telling people: an SNS topic, a webhook of Slack's form, Slack itself. A failure to deliver is an error, never
silence: the sensor that called fails visibly and tries again."""

import json
from collections.abc import Mapping

from pydantic import SecretStr

from hokusai_validation.errors import NotDelivered, RequestFailed
from hokusai_validation.redaction import shown
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


def post_to_slack(
    url: str, token: SecretStr, channel: str, body: Mapping[str, object], thread: str | None = None
) -> str:
    """Post to a channel by `chat.postMessage`, in a thread where one is given; the message's own `ts`, by which
    answers find its thread. https://docs.slack.dev/reference/methods/chat.postMessage

    Raises NotDelivered."""
    message = {**body, "channel": channel} | ({} if thread is None else {"thread_ts": thread})
    try:
        with HttpClient(url, timeout_s=TIMEOUT_S, key=token) as client:
            answer = client.post(url, json=message, key=True).object()
    except RequestFailed as error:
        raise NotDelivered(f"Slack could not be reached ({type(error).__name__}).") from None
    if answer.get("ok") is not True:
        raise NotDelivered(
            f"Slack did not take the message ({shown(answer.get('error', 'no reason'), 100)}): check"
            " `automation.slack` of the target file."
        )
    return str(answer.get("ts", ""))


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
