"""What follows by itself after a deployment, and who is told: `[automation]` of a target file."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from hokusai_validation.fields import Url
from hokusai_validation.sections import SecretRef, Section


class FollowUp(StrEnum):
    """What runs after a deployment: all phases, the light ones, or nothing."""

    VALIDATE = "validate"
    LIGHT = "light"
    NOTHING = "nothing"


class After(Section):
    """What runs after a deployment that came to this end. `removed`: its service was deleted."""

    finished: FollowUp = FollowUp.VALIDATE
    failed: FollowUp = FollowUp.LIGHT
    rolled_back: FollowUp = FollowUp.LIGHT
    stopped: FollowUp = FollowUp.LIGHT
    removed: FollowUp = FollowUp.LIGHT


class Slack(Section):
    """A channel that an app of Slack's posts to by `chat.postMessage` (scope `chat:write`): each cause has a thread."""

    token: SecretRef
    channel: Annotated[str, Field(min_length=1)]
    url: Url = "https://slack.com/api/chat.postMessage"


class Channel(Section):
    """Who is told of critical causes: a `webhook` of Slack's form, a topic, a channel with threads."""

    webhook: SecretRef | None = None
    sns_topic_arn: str | None = None
    slack: Slack | None = None


class Automation(Channel):
    """What follows by itself: how long a rollout must be quiet before its run, after how long an
    unfinished one no longer holds the others up, what runs after what, the SQS queue that
    EventBridge tells of deployments (polling stays in any case), who is told of critical causes, and
    which `teams` of the topology are told of their own; the base URLs of the UI and of the reports for the links."""

    quiet_s: Annotated[float, Field(ge=0)] = 60.0
    patience_s: Annotated[float, Field(gt=0)] = 3600.0
    after: After = After()
    deployment_queue_url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    teams: Mapping[str, Channel] = Field(default_factory=dict)
    ui_url: Url | None = None
    reports_url: Url | None = None
