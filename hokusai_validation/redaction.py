"""The one point that every row, log line and document passes before it is written.

Known secrets are masked in plain and in the forms they travel in, unknown ones by their look (API
keys, bearer headers, passwords in URLs, AWS access keys). A text that is to be cut goes through
`shown`, which masks first: half a key is no longer recognised. What others cut (pytest, libraries)
is recognised by the piece that is left.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, JsonValue, SecretStr

from hokusai_validation.text import well_formed

Model = TypeVar("Model", bound=BaseModel)

MASK = "[redacted]"

# A shorter one would mask half of every text; secrets that short are refused where they are read.
SHORTEST = 6
# A piece of a secret this long is masked wherever it stands; a shorter one only where a text was cut.
_LONG_PIECE = 12
_SHORT_PIECE = 8
_CUT_AFTER = ("…", "...", "'", '"', "\n")
_CUT_BEFORE = ("…", "...")
# So much behind a cut is enough to recognise what stands across it.
_REACH = 65_536

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
        forms = {form for secret in secrets for form in forms_of(secret.get_secret_value())}
        self._forms = tuple(sorted(forms))

    def text(self, text: str) -> str:
        """The text with every secret masked, and well-formed."""
        text = well_formed(text)
        found = sorted(span for form in self._forms for span in _spans(form, text))
        if found:
            text = _masked(text, found)
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


# What this process has read, for texts that are made where no target is at hand.
_known: dict[str, SecretStr] = {}
_of_process = Redactor()


def remember(secret: SecretStr) -> None:
    """Have a secret masked by `shown` from now on, in this process."""
    global _of_process
    if secret.get_secret_value() not in _known:
        _known[secret.get_secret_value()] = secret
        _of_process = Redactor(_known.values())


def shown(text: object, limit: int) -> str:
    """What may be shown of a text (or of anything's `str`): masked, then at most `limit` characters."""
    return _of_process.text(str(text)[: limit + _REACH])[:limit]


def forms_of(value: str) -> Iterator[str]:
    """The forms a secret travels in: itself, stripped, each line; as in `repr`, JSON, HTML and URLs;
    in hexadecimal; in base64 at any place of a longer text (its own bytes' digits alone)."""
    plain = dict.fromkeys((value, value.strip(), *value.splitlines()))
    for text in plain:
        for form in dict.fromkeys((*_escaped(text), *_encoded(text.encode("utf-8", "surrogatepass")))):
            if len(form) >= SHORTEST and len(text.strip()) >= SHORTEST:
                yield form


def _escaped(text: str) -> Iterator[str]:
    yield text
    yield repr(text)[1:-1]
    yield repr(text.encode("utf-8", "surrogatepass"))[2:-1]
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield json.dumps(json.dumps(text))[3:-3]  # JSON inside JSON
    yield html.escape(text)
    for percent in (quote, quote_plus):
        for safe in ("", "/"):
            form = percent(text, safe=safe, errors="surrogatepass")
            yield form
            yield re.sub("%[0-9A-F]{2}", lambda match: match.group().lower(), form)


def _encoded(data: bytes) -> Iterator[str]:
    yield data.hex()
    yield data.hex().upper()
    for before in range(3):
        text = base64.b64encode(bytes(before) + data).decode()
        # Digits that also hold bits of what stands before or behind are left out.
        own = text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        yield own
        yield own.translate(str.maketrans("+/", "-_"))


def _spans(form: str, text: str) -> Iterator[tuple[int, int]]:
    """Where a form, its beginning or its end stands in a text."""
    most = max(_SHORT_PIECE, -(-len(form) * 3 // 4))  # of a short one nearly all
    enough = min(len(form), max(_LONG_PIECE, len(form) // 2), most)
    stem, tail = form[:SHORTEST], form[-SHORTEST:]
    at = text.find(stem)
    while at >= 0:
        end = at + SHORTEST
        while end < len(text) and end - at < len(form) and text[end] == form[end - at]:
            end += 1
        cut = end == len(text) or any(
            text.startswith(_CUT_AFTER, here) for here in range(at + SHORTEST, end + 1)
        )
        if end - at >= enough or cut:
            yield at, end
        at = text.find(stem, end if end - at == len(form) else at + 1)
    end = text.find(tail)
    while end >= 0:
        end += SHORTEST
        at = end - SHORTEST
        while at > 0 and end - at < len(form) and text[at - 1] == form[at - 1 - end]:
            at -= 1
        cut = at == 0 or any(text.endswith(_CUT_BEFORE, 0, here) for here in range(at, end - SHORTEST + 1))
        if end - at >= enough or cut:
            yield at, end
        end = text.find(tail, end - SHORTEST + 1)


def _masked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    parts: list[str] = []
    done = 0
    for start, end in spans:
        if end <= done:
            continue
        if start >= done:
            parts += [text[done:start], MASK]
        done = end
    return "".join([*parts, text[done:]])
