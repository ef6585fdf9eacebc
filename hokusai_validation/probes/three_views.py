"""The three views of a component, compared: what the service says of it, what we see ourselves,
what AWS says. Pure.

A view that was not taken is None. Two views that differ are a finding of their own, whichever of
them is right: it is how a load balancer keeps a dead service or drops a good one.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from hokusai_validation.facts import FactKind


class View(StrEnum):
    """One view of one component."""

    UP = "up"
    IMPAIRED = "impaired"  # answers, not fully: degraded, recovering, one task or target of several
    DOWN = "down"
    ABSENT = "absent"  # not deployed, and said to be so


class Views(BaseModel):
    """All views of a component; the texts say what each was made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    component: str
    said: View | None = None
    said_text: str = ""
    seen: View | None = None
    seen_text: str = ""
    aws: View | None = None
    aws_text: str = ""


SAID = {
    "healthy": View.UP,
    "degraded": View.IMPAIRED,
    "recovering": View.IMPAIRED,
    "unhealthy": View.DOWN,
    "disabled": View.ABSENT,
}


def disagreement(views: Views) -> str | None:
    """The sentence that says where the views differ, or None where they agree.

    `impaired` agrees with either side: a breaker still OPEN after MLflow came back, or one of two
    tasks gone, is no contradiction."""
    told = [
        (name, view, text)
        for name, view, text in (
            ("the service says", views.said, views.said_text),
            ("we see", views.seen, views.seen_text),
            ("AWS says", views.aws, views.aws_text),
        )
        if view is not None
    ]
    up = [each for each in told if each[1] is View.UP]
    down = [each for each in told if each[1] in (View.DOWN, View.ABSENT)]
    if not up or not down:
        return None
    sides = [f"{name} {view.value}{f' ({text})' if text else ''}" for name, view, text in told]
    return f"{views.component}: {', '.join(sides)}"


def kind_of(views: Views) -> FactKind:
    """The kind of a disagreement: a service that says well of what we see down tells an untruth that
    no outage explains."""
    lies = views.said is View.UP and views.seen is View.DOWN
    return FactKind.HEALTH_CLAIMS_WELL if lies else FactKind.HEALTH_ANSWER_WRONG
