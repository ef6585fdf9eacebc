"""The sensors on failed critical checks: read what is new of every target and tell whoever is to be told.

One sensor a kind of channel, for all targets, each with a cursor of its own: nobody is told twice because another
channel was down, and what could not be told is tried again. A tick in which nothing else was told fails then."""

from collections.abc import Callable, Mapping

import dagster as dg
from pydantic import BaseModel, ConfigDict, ValidationError

from hokusai_validation.announcing import Channel
from hokusai_validation.automation import cursors
from hokusai_validation.automation.announcements import Announcement, Told, announce
from hokusai_validation.effective import EffectiveTarget
from hokusai_validation.errors import HokusaiError, NotDelivered
from hokusai_validation.reporting.news import News
from hokusai_validation.resources.injected import ResultsResource, TargetResource
from hokusai_validation.store.results import ResultStore
from hokusai_validation.target import Target

INTERVAL_S = 30


class Thread(BaseModel):
    """The message that a cause's thread hangs on, and what was said in it last."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    ts: str
    said: str


class Heard(BaseModel):
    """The run that a channel knows of, what it was told, and its threads by cause."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: str | None = None
    told: Told = Told()
    threads: Mapping[str, Thread] = {}


class Cursor(BaseModel):
    """By target, and by `TARGET/TEAM` for the channel of a team."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    heard: Mapping[str, Heard] = {}


# Tells a channel; False where it is none of that kind. Threads are noted as messages are delivered.
Send = Callable[[EffectiveTarget, Channel, Announcement, dict[str, Thread]], bool]


def build_alert_sensors(
    targets: Mapping[str, TargetResource], results: ResultsResource
) -> list[dg.SensorDefinition]:
    """A sensor for webhooks, one for SNS, one for Slack; each is for all targets."""
    return [_build(f"notify_{name}", send, targets, results) for name, send in KINDS.items()]


def _build(
    name: str, send: Send, targets: Mapping[str, TargetResource], results: ResultsResource
) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        minimum_interval_seconds=INTERVAL_S,
        description="Tells of critical causes: once, again when they change, and when they are over.",
    )
    def notify(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        before = cursors.read(context, Cursor)
        heard = dict(before.heard)
        said: list[str] = []
        failed: list[str] = []
        store = results.store()
        for target, held in targets.items():
            news = _news(store, target)
            if news is None or not _behind(heard, target, news.run_id):
                continue
            said.append(f"Told of run {news.run_id} of {target}.")
            try:
                failed += _tell(held.resolve(), news, heard, send)
            except HokusaiError as error:
                failed.append(f"{target}: {error}")
        if failed and _anything(heard) == _anything(before.heard):
            raise NotDelivered(" ".join(failed))
        reason = " ".join([*said, *failed]) or "There is no new report."
        return dg.SensorResult(skip_reason=reason, cursor=Cursor(heard=heard).model_dump_json())

    return notify


def _news(store: ResultStore, target: str) -> News | None:
    kept = store.news(target)
    try:
        return None if kept is None else News.model_validate_json(kept)
    except ValidationError:
        return None


def _anything(heard: Mapping[str, Heard]) -> dict[str, Heard]:
    """Without the channels that have heard nothing yet."""
    return {key: each for key, each in heard.items() if each != Heard()}


def _behind(heard: Mapping[str, Heard], target: str, run_id: str) -> bool:
    """Whether a channel of the target does not know of the run, as far as its channels are known."""
    known = [each.run_id for key, each in heard.items() if key.partition("/")[0] == target]
    return not known or set(known) != {run_id}


def _tell(held: EffectiveTarget, news: News, heard: dict[str, Heard], send: Send) -> list[str]:
    """Tell the channels of a target, and note what each has heard; what went wrong, a sentence each."""
    failed = []
    automation = held.target.automation
    channels = [
        (news.target, None, automation),
        *((f"{news.target}/{t}", t, c) for t, c in automation.teams.items()),
    ]
    for key in [key for key in heard if key.partition("/")[0] == news.target]:
        if key not in {name for name, _, _ in channels}:
            del heard[key]  # the file has this team no more
    for key, team, channel in channels:
        known = heard.get(key, Heard())
        if known.run_id == news.run_id:
            continue
        threads = dict(known.threads)
        found = announce(known.told, news, _link(held.target, news), team)
        try:
            delivered = found is not None and send(held, channel, found, threads)
        except HokusaiError as error:
            heard[key] = known.model_copy(update={"threads": threads})
            failed.append(f"{key}: {error}")
            continue
        told = found.told if found is not None and delivered else known.told
        still = {cause: thread for cause, thread in threads.items() if cause in told.causes}
        heard[key] = Heard(run_id=news.run_id, told=told, threads=still)
    return failed


def _to_webhook(
    held: EffectiveTarget, channel: Channel, news: Announcement, threads: dict[str, Thread]
) -> bool:
    from hokusai_validation.resources.notify import post_webhook
    from hokusai_validation.resources.secrets import Secrets

    if channel.webhook is None:
        return False
    post_webhook(Secrets(held.target, given=held.secrets).value(channel.webhook), news.slack())
    return True


def _to_sns(held: EffectiveTarget, channel: Channel, news: Announcement, threads: dict[str, Thread]) -> bool:
    from hokusai_validation.resources.aws.client import Aws
    from hokusai_validation.resources.notify import publish
    from hokusai_validation.resources.secrets import Secrets

    if channel.sns_topic_arn is None:
        return False
    aws = Aws.from_target(held.target, Secrets(held.target, given=held.secrets))
    try:
        publish(aws.calls, channel.sns_topic_arn, news.subject, news.text())
    finally:
        aws.close()
    return True


def _to_slack(
    held: EffectiveTarget, channel: Channel, news: Announcement, threads: dict[str, Thread]
) -> bool:
    """A message a cause; what changes and its end are said in its thread. What was said before another message
    failed is not said again."""
    from hokusai_validation.resources.notify import post_to_slack
    from hokusai_validation.resources.secrets import Secrets

    slack = channel.slack
    if slack is None:
        return False
    token = Secrets(held.target, given=held.secrets).value(slack.token)
    if not news.items:
        post_to_slack(slack.url, token, slack.channel, news.slack())
    for item in news.items:
        thread = threads.get(item.key)
        if thread is not None and thread.said == item.signature:
            continue
        hangs_on = None if thread is None else thread.ts
        ts = post_to_slack(slack.url, token, slack.channel, news.of(item).slack(), hangs_on)
        threads[item.key] = Thread(ts=hangs_on or ts, said=item.signature)
    return True


KINDS: Mapping[str, Send] = {"webhook": _to_webhook, "sns": _to_sns, "slack": _to_slack}


def _link(target: Target, news: News) -> str:
    """To the picture of the stack, at the top of the report; to Dagster where no base of reports is named."""
    automation = target.automation
    if automation.reports_url:
        return f"{automation.reports_url.rstrip('/')}/{news.target}/{news.run_id}/report.html#stack"
    if automation.ui_url:
        return f"{automation.ui_url.rstrip('/')}/runs/{news.run_id}"
    return f"results/reports/{news.target}/{news.run_id}/report.html#stack"
