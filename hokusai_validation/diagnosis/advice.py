"""What to say of each cause: title, impact, remedy, effort. The texts stand in `advice.toml`."""

import tomllib
from enum import StrEnum
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from hokusai_validation.report import Cause

SUBJECT_LENGTH = 300


class Severity(StrEnum):
    """How a cause hurts: users are without something, security, misbehaviour, a risk, a note."""

    OUT = "out"
    SECURITY = "security"
    WRONG = "wrong"
    RISK = "risk"
    NOTE = "note"


class Advice(BaseModel):
    """One cause's texts, with `{component}`, `{subject}` and `{service}` to be filled in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    severity: Severity = Field(alias="class")
    title: str
    impact: str
    remedy: tuple[str, ...]
    effort_h: float
    quick_win: bool = False


@cache
def _all() -> dict[str, Advice]:
    path = Path(__file__).with_name("advice.toml")
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: Advice.model_validate(value) for name, value in values.items()}


def advice(cause: Cause) -> Advice:
    """The texts of a cause."""
    return _all()[cause.value]


def fill(text: str, *, component: str, subject: str = "", service: str = "") -> str:
    """A text with its places filled in; one that ends in a place for which nothing was seen ends
    before it."""
    subject = " ".join(subject.split())[:SUBJECT_LENGTH]
    if not subject:
        text = text.replace(": {subject}", ".")
    return text.format(component=component, subject=subject, service=service or component)
