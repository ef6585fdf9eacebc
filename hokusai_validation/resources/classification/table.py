"""`table.toml`, read once: codes to classes, and phrases to codes."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hokusai_validation.observation import ErrorClass, Native


@dataclass(frozen=True)
class Classified:
    """What an error is, and how its own system names it."""

    error_class: ErrorClass
    native: Native


@dataclass(frozen=True)
class Phrase:
    """A pattern of a system's own words, and the code that they stand for."""

    pattern: re.Pattern[str]
    code: str
    error_class: ErrorClass
    system: str


@dataclass(frozen=True)
class Page:
    """The form of a page that a server writes itself; `name` is the server's."""

    name: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Table:
    """Everything of `table.toml`. `codes` by system and code; the phrases in the file's order."""

    codes: Mapping[str, Mapping[str, ErrorClass]]
    phrases: Mapping[str, tuple[Phrase, ...]]
    pages: tuple[Page, ...]
    servers: Mapping[str, str]

    def of_code(self, system: str, code: str) -> ErrorClass | None:
        """The class of a code, or None where the table has none."""
        return self.codes[system].get(code)

    def phrase(self, system: str, text: str) -> Phrase | None:
        """The first phrase of a system that a text holds."""
        return next((each for each in self.phrases[system] if each.pattern.search(text)), None)


# Where a table's phrases take their classes from, and whose errors they are.
_PHRASES = {
    "postgresql": ("sqlstate", "postgresql"),
    "redis_text": ("redis", "redis"),
    "aws_text": ("aws", "aws"),
    "openssl_text": ("openssl", "openssl"),
    "host_check": ("", "http"),
    "breaker": ("", "http"),
    "client": ("", "http"),
}
_OF_PHRASES = {"host_check": ErrorClass.HOST_REFUSED, "breaker": ErrorClass.BREAKER_OPEN}
_CODES = ("sqlstate", "redis", "aws", "openssl", "errno", "gai", "dns", "http", "mlflow")


@cache
def table() -> Table:
    """The table."""
    values = tomllib.loads((Path(__file__).parent / "table.toml").read_text(encoding="utf-8"))
    codes = {system: {code: ErrorClass(name) for code, name in values[system].items()} for system in _CODES}
    phrases = {}
    for name, (classes, system) in _PHRASES.items():
        read = []
        for row in values[name]:
            own = row.get("class") or (codes[classes][row["code"]] if classes else _OF_PHRASES[name])
            pattern = re.compile(row["pattern"], re.DOTALL)
            read.append(Phrase(pattern, row["code"], ErrorClass(own), row.get("system", system)))
        phrases[name] = tuple(read)
    pages = tuple(Page(row["name"], re.compile(row["pattern"])) for row in values["page"])
    return Table(codes, phrases, pages, values["servers"])
