"""The one point that every row, log line and document passes before it is written.

Known secrets are replaced by their value, in plain and in the encodings they travel in; unknown
ones by their look (API keys, bearer headers, passwords in URLs, AWS access keys).
"""

import base64
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar
from urllib.parse import quote

from pydantic import BaseModel, JsonValue, SecretStr

Model = TypeVar("Model", bound=BaseModel)

MASK = "[redacted]"

_LOOKS_SECRET = (
    (re.compile(r"\bhk_[A-Za-z0-9]+_[A-Za-z0-9_\-]{6,}"), MASK),
    (
        re.compile(r"(?i)(\bauthorization['\"]?\s*[:=]\s*['\"]?(?:bearer|apikey|basic)\s+)[^\s'\",]+"),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)(\bx-api-key['\"]?\s*[:=]\s*['\"]?)[^\s'\",]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)(\b[a-z][a-z0-9+.\-]*://[^\s/:@]*:)[^\s/@]+(@)"), rf"\1{MASK}\2"),
    (re.compile(r"(?i)(\bpassword['\"]?\s*[:=]\s*['\"]?)[^\s'\",;]+"), rf"\1{MASK}"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), MASK),
)


class Redactor:
    """Masks the secrets it was given, and whatever looks like one."""

    def __init__(self, secrets: Iterable[SecretStr] = ()) -> None:
        forms: set[str] = set()
        for item in secrets:
            value = item.get_secret_value()
            if len(value) < 4:  # would mask half of every text
                continue
            forms |= {value, quote(value, safe=""), base64.b64encode(value.encode()).decode()}
        # Longest first, so that no form hides inside a longer one.
        ordered = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """The text with every secret masked."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern, replacement in _LOOKS_SECRET:
            text = pattern.sub(replacement, text)
        return text

    def json(self, value: JsonValue) -> JsonValue:
        """The same for every string in a JSON value, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.json(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(item) for item in value]
        return value

    def model(self, model: Model) -> Model:
        """A copy of a model with every string in it masked."""
        return type(model).model_validate(self.json(model.model_dump(mode="json")))
