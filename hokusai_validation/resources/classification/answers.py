"""HTTP answers: what an error answer is, and which server wrote it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hokusai_validation.observation import ErrorClass, Native
from hokusai_validation.resources.classification.table import Classified, table
from hokusai_validation.resources.classification.texts import TEXT_LIMIT, of_text

_LEAVES_LIMIT = 200
BAD_STATUS = "5xx"  # the table's code for a status in words


@dataclass(frozen=True)
class AnswerRead:
    """What an answer says. `error` is None for one below 400; `author` the program that wrote it
    (`fastapi`, `mlflow`, `nginx`, `awselb`…), where its form or its headers tell; `met` the error that it
    met itself and repeats in words."""

    error: Classified | None
    author: str | None
    met: Classified | None = None


def of_answer(status: int, headers: Mapping[str, str], body: bytes) -> AnswerRead:
    """Read an answer; `headers` have lower-case names. Never raises."""
    text = body[:TEXT_LIMIT].decode("utf-8", errors="replace")
    values = _json(text) if text.lstrip()[:1] in ("{", "[", '"') else None
    author = _author(status, headers, text, values)
    if status < 400:
        return AnswerRead(None, author)
    told = text if values is None else "\n".join(_texts(values))
    nested = of_text(told)
    if nested is not None:
        here = nested.error_class in (ErrorClass.HOST_REFUSED, ErrorClass.BREAKER_OPEN)
        # That somebody's status was bad says less of this answer than its own.
        error = _by_status(status) if nested.native.code == BAD_STATUS else nested
        return AnswerRead(error, author, met=None if here else nested)
    known = table()
    code = values.get("error_code") if isinstance(values, dict) else None
    by_status = _by_status(status)
    if isinstance(code, str) and (named := known.of_code("mlflow", code)) is not None:
        # An answer without a better word than its status keeps the status' class.
        plain = code in ("INTERNAL_ERROR", "BAD_REQUEST", "UNKNOWN")
        return AnswerRead(
            Classified(by_status.error_class if plain else named, Native(system="mlflow", code=code)), author
        )
    return AnswerRead(by_status, author)


def _by_status(status: int) -> Classified:
    found = table().of_code("http", str(status)) or (
        ErrorClass.SERVER_ERROR if status >= 500 else ErrorClass.BAD_REQUEST
    )
    return Classified(found, Native(system="http", code=str(status)))


def _author(status: int, headers: Mapping[str, str], text: str, values: object) -> str | None:
    known = table()
    if isinstance(values, dict):
        if status >= 400 and "detail" in values:
            return "fastapi"
        code = values.get("error_code")
        if isinstance(code, str) and known.of_code("mlflow", code) is not None and "message" in values:
            return "mlflow"
    server = headers.get("server", "").lower()
    if status >= 400 and values is None:
        if "DNS rebinding attack" in text:
            return "mlflow"
        for page in known.pages:
            if page.pattern.search(text):
                # ALB's page has nginx's form without its name, or says so in its header.
                return "awselb" if server.startswith("awselb") else page.name
    if "error from cloudfront" in headers.get("x-cache", "").lower():
        return "cloudfront"
    word = server.split("/", 1)[0].split(" ", 1)[0].split("(", 1)[0]
    return known.servers.get(word)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _texts(values: object) -> Iterator[str]:
    """The strings of a JSON value, its own escapes undone; at most so many."""
    stack, given = [values], 0
    while stack and given < _LEAVES_LIMIT:
        at = stack.pop()
        if isinstance(at, str):
            given += 1
            yield at
        elif isinstance(at, dict):
            stack.extend(reversed(list(at.values())))
        elif isinstance(at, list):
            stack.extend(reversed(at))
