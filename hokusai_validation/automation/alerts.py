"""The sensors on failed critical checks: read the newest report and tell whoever is to be told.

One sensor a channel, each with a cursor of its own: a channel that can't be reached makes its tick fail
and is tried again, and nobody is told twice because another channel was down.
"""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import BaseModel, ConfigDict, ValidationError

from hokusai_validation.assets.resources import identifier
from hokusai_validation.automation import cursors
from hokusai_validation.automation.announcements import Announcement, Told, announce
from hokusai_validation.effective import EffectiveTarget
from hokusai_validation.report import Report
from hokusai_validation.resources.injected import ResultsResource, TargetResource
from hokusai_validation.store.results import ResultStore
from hokusai_validation.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL_S = 30


class Cursor(BaseModel):
    """The run that the channel knows of, and what it was told."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: str | None = None
    told: Told = Told()


def build_alert_sensors(
    target_name: str, held: TargetResource, results: ResultsResource
) -> list[dg.SensorDefinition]:
    """A sensor for the webhook and one for SNS."""
    return [
        _build(f"{identifier(target_name)}_notify_webhook", _to_webhook, target_name, held, results),
        _build(f"{identifier(target_name)}_notify_sns", _to_sns, target_name, held, results),
    ]


def newest_report(store: ResultStore, target: str) -> Report | None:
    """The report that `latest` points at."""
    try:
        return Report.model_validate_json((store.reports / target / "latest" / "report.json").read_bytes())
    except (OSError, ValidationError):
        return None


def _build(
    name: str,
    send: "Callable[[EffectiveTarget, Announcement], bool]",
    target_name: str,
    held: TargetResource,
    results: ResultsResource,
) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        minimum_interval_seconds=INTERVAL_S,
        description="Tells of critical causes: once, again when they change, and when they are over.",
        tags={"target": target_name},
    )
    def notify(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        target = held.resolve()
        cursor = cursors.read(context, Cursor)
        report = newest_report(results.store(), target_name)
        if report is None or report.run_id == cursor.run_id:
            return dg.SensorResult(skip_reason="There is no new report.", cursor=context.cursor)
        news = announce(cursor.told, report, _link(target.target, report))
        reason = f"Nothing new in run {report.run_id}."
        told = cursor.told
        if news is not None:
            if not send(target, news):
                return dg.SensorResult(
                    skip_reason=f"Target '{target_name}' names no such channel ([automation])."
                )
            reason, told = f"Told of run {report.run_id}.", news.told
        return dg.SensorResult(
            skip_reason=reason, cursor=Cursor(run_id=report.run_id, told=told).model_dump_json()
        )

    return notify


def _to_webhook(held: EffectiveTarget, news: Announcement) -> bool:
    from hokusai_validation.resources.notify import post_webhook
    from hokusai_validation.resources.secrets import Secrets

    webhook = held.target.automation.webhook
    if webhook is None:
        return False
    post_webhook(Secrets(held.target, given=held.secrets).value(webhook), news.slack())
    return True


def _to_sns(held: EffectiveTarget, news: Announcement) -> bool:
    from hokusai_validation.resources.aws.client import Aws
    from hokusai_validation.resources.notify import publish
    from hokusai_validation.resources.secrets import Secrets

    topic = held.target.automation.sns_topic_arn
    if topic is None:
        return False
    aws = Aws.from_target(held.target, Secrets(held.target, given=held.secrets))
    try:
        publish(aws.calls, topic, news.subject, news.text())
    finally:
        aws.close()
    return True


def _link(target: Target, report: Report) -> str:
    base = (target.automation.ui_url or "").rstrip("/")
    if base:
        return f"{base}/runs/{report.run_id}"
    return f"results/reports/{report.target}/{report.run_id}/report.html"
