"""What is worth telling people: once for each cause, again when it changes, and when it is over. Pure."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from hokusai_validation.report import Priority, Verdict
from hokusai_validation.reporting.news import News

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
    """One cause in an announcement; `key` and `signature` are those that it is known again by."""

    model_config = ConfigDict(frozen=True)

    key: str
    signature: str
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

    def of(self, item: Item) -> "Announcement":
        """The same of one cause alone."""
        return self.model_copy(update={"items": (item,)})

    def slack(self) -> dict[str, object]:
        """A message of Slack's form; nothing a target said can mention people or make links."""
        escaped = self.text().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if len(escaped) > SLACK_LIMIT:
            escaped = escaped[:SLACK_LIMIT].rsplit("&", 1)[0] + "…"
        block = {"type": "section", "text": {"type": "plain_text", "text": escaped}}
        return {"text": escaped, "blocks": [block]}


def announce(told: Told, news: News, link: str, team: str | None = None) -> Announcement | None:
    """What a channel has not been told yet; None when there is nothing new. The channel of a `team` is told of
    its own causes; every other one of all, and of an unhealthy verdict."""
    open_now = {each.key: each for each in news.causes if team in (None, each.team)}
    items = [
        Item(
            key=key,
            signature=cause.signature,
            kind=Kind.NEW if key not in told.causes else Kind.CHANGED,
            title=cause.title,
            priority=cause.priority,
            component=cause.component,
            impact=cause.impact,
        )
        for key, cause in open_now.items()
        if told.causes.get(key) != cause.signature
    ]
    # A run that could not judge does not show that a cause is gone.
    judged = news.verdict is not Verdict.INCONCLUSIVE
    gone = [key for key in told.causes if key not in open_now]
    if judged:
        items += [
            Item(key=key, signature=Kind.OVER, kind=Kind.OVER, title=told.titles.get(key, key))
            for key in gone
        ]
    kept = {} if judged else {key: told.causes[key] for key in gone}
    turned = (news.verdict is Verdict.UNHEALTHY) != (told.verdict == Verdict.UNHEALTHY.value)
    if not items and not (turned and judged and team is None):
        return None
    return Announcement(
        target=news.target,
        run_id=news.run_id,
        verdict=news.verdict,
        headline=news.headline,
        link=link,
        items=tuple(items),
        told=Told(
            verdict=news.verdict.value if judged else told.verdict,
            causes=kept | {key: cause.signature for key, cause in open_now.items()},
            titles={key: told.titles.get(key, key) for key in kept}
            | {key: cause.title for key, cause in open_now.items()},
        ),
    )
