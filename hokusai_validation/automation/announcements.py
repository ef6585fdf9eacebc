"""What is worth telling people: once for each cause, again when it changes, and when it is over. Pure."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from hokusai_validation.report import Finding, Priority, Report, Verdict

SLACK_LIMIT = 2_900  # characters; Slack refuses a text block over 3,000


class Told(BaseModel):
    """What one channel was told: the verdict, and a signature and title for each open cause."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    verdict: str | None = None
    causes: Mapping[str, str] = {}
    titles: Mapping[str, str] = {}


class Kind(StrEnum):
    """Why a cause is spoken of."""

    NEW = "new"
    CHANGED = "changed"
    OVER = "over"


class Item(BaseModel):
    """One cause in an announcement."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    title: str
    priority: Priority | None = None
    component: str = ""
    impact: str = ""


class Announcement(BaseModel):
    """One message, and what the channel will have been told once it is delivered."""

    model_config = ConfigDict(frozen=True)

    target: str
    run_id: str
    verdict: Verdict
    headline: str
    link: str
    items: tuple[Item, ...]
    told: Told

    @property
    def subject(self) -> str:
        """At most 100 characters of ASCII, as SNS wants it."""
        text = f"{self.target}: {self.verdict.value} ({len(self.items)} changes)"
        return text.encode("ascii", "replace").decode()[:100]

    def text(self) -> str:
        """Plain text, for SNS and mail."""
        lines = [f"{self.target}: {self.verdict.value}", self.headline, ""]
        for item in self.items:
            where = f" [{item.priority}, {item.component}]" if item.priority else ""
            lines.append(f"- {item.kind}: {item.title}{where}{' ' + item.impact if item.impact else ''}")
        return "\n".join([*lines, "", f"Run {self.run_id}: {self.link}"])

    def slack(self) -> dict[str, object]:
        """The body of an incoming webhook; nothing a target said can mention people or make links."""
        escaped = self.text().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if len(escaped) > SLACK_LIMIT:
            escaped = escaped[:SLACK_LIMIT].rsplit("&", 1)[0] + "…"
        block = {"type": "section", "text": {"type": "plain_text", "text": escaped}}
        return {"text": escaped, "blocks": [block]}


def announce(told: Told, report: Report, link: str) -> Announcement | None:
    """What a channel has not been told yet; None when there is nothing new.

    Only critical matters are spoken of: P0 and P1 causes, and an unhealthy verdict."""
    open_now = {item.key: item for item in report.findings if item.priority in (Priority.P0, Priority.P1)}
    items = [
        Item(
            kind=Kind.NEW if key not in told.causes else Kind.CHANGED,
            title=item.title,
            priority=item.priority,
            component=item.component,
            impact=item.impact,
        )
        for key, item in open_now.items()
        if told.causes.get(key) != _signature(item)
    ]
    # A run that could not judge does not show that a cause is gone.
    if report.verdict is not Verdict.INCONCLUSIVE:
        items += [
            Item(kind=Kind.OVER, title=told.titles.get(key, key))
            for key in told.causes
            if key not in open_now
        ]
        kept: dict[str, str] = {}
        titles: dict[str, str] = {}
    else:
        kept = {key: value for key, value in told.causes.items() if key not in open_now}
        titles = {key: told.titles.get(key, key) for key in kept}
    turned = (report.verdict is Verdict.UNHEALTHY) != (told.verdict == Verdict.UNHEALTHY.value)
    judged = report.verdict is not Verdict.INCONCLUSIVE
    if not items and not (turned and judged):
        return None
    return Announcement(
        target=report.target,
        run_id=report.run_id,
        verdict=report.verdict,
        headline=report.headline,
        link=link,
        items=tuple(items),
        told=Told(
            verdict=report.verdict.value if judged else told.verdict,
            causes=kept | {key: _signature(item) for key, item in open_now.items()},
            titles=titles | {key: item.title for key, item in open_now.items()},
        ),
    )


def _signature(finding: Finding) -> str:
    """What makes a known cause news again: another priority, component or kind, not another count."""
    return f"{finding.cause}|{finding.component}|{finding.priority}"
