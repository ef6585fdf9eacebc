"""Holding an answer to its model: one sentence that names every field that is not as promised."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from hokusai_validation.errors import ExpectationUnmet
from hokusai_validation.facts import FactKind
from hokusai_validation.observation import ErrorClass
from hokusai_validation.redaction import shown
from hokusai_validation.resources import recording
from hokusai_validation.resources.http import Answer
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.topology import Role

Model = TypeVar("Model", bound=BaseModel)

SEEN_LIMIT = 80
PROBES = ("/health", "/ready", "/live", "/version", "/metrics", "/docs", "/redoc", "/openapi.json")


def expect(
    holds: object,
    message: str,
    evidence: Evidence,
    kind: FactKind,
    component: str = Role.API_GATEWAY,
    *,
    via: str | None = None,
    seen: str = "",
) -> None:
    """Assert, with the fact that the diagnosis needs when it does not hold (`seen`: the message,
    unless given)."""
    if not holds:
        raise failure(message, evidence, kind, component, via=via, seen=seen)


def failure(
    message: str,
    evidence: Evidence,
    kind: FactKind,
    component: str = Role.API_GATEWAY,
    *,
    via: str | None = None,
    seen: str = "",
) -> ExpectationUnmet:
    """What to raise where it is known not to hold, its fact added."""
    evidence.fact(kind, component, seen or message, via)
    return ExpectationUnmet(message)


def has_status(
    answer: Answer,
    status: int,
    evidence: Evidence,
    component: str = Role.API_GATEWAY,
    *,
    via: str | None = None,
) -> None:
    """Assert an answer's status, with the fitting fact."""
    evidence.answer(name_of(answer), answer)
    if answer.status == status:
        recording.met(answer.observation)
        return
    recording.unmet(answer.observation, f"status {status}", ErrorClass.WRONG_VALUE)
    path = path_of(answer)
    refused_probe = (
        answer.method == "GET" and answer.status in (401, 403) and path.partition("?")[0].startswith(PROBES)
    )
    seen = (
        f"{name_of(answer)} answered {answer.status}, expected {status}: {shown(answer.text, SEEN_LIMIT)!r}"
    )
    evidence.fact(
        FactKind.PROBE_NEEDS_KEY if refused_probe else FactKind.UNEXPECTED_STATUS, component, seen, via
    )
    raise ExpectationUnmet(f"{seen}.")


def conforms(
    answer: Answer,
    model: type[Model],
    evidence: Evidence,
    *,
    status: int = 200,
    component: str = Role.API_GATEWAY,
    via: str | None = None,
) -> Model:
    """The answer as its model, when status and every field are as promised; else ExpectationUnmet
    with all that is not, and a fact."""
    has_status(answer, status, evidence, component, via=via)
    try:
        return model.model_validate_json(answer.body)
    except ValidationError as error:
        recording.unmet(answer.observation, f"form {model.__name__}", ErrorClass.WRONG_FORM)
        message = f"{name_of(answer)}: {'; '.join(differences(error))}."
        evidence.fact(FactKind.SCHEMA_MISMATCH, component, message, via)
        raise ExpectationUnmet(message) from None


def differences(error: ValidationError) -> list[str]:
    """Each field that is not as promised: which, expected, seen."""
    found = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"])
        if item["type"] == "missing":
            found.append(f"`{where}` is missing")
            continue
        text = item["msg"].removeprefix("Value error, ")
        if not where:
            found.append(text)
            continue
        seen = repr(item["input"])
        cut = seen if len(seen) <= SEEN_LIMIT else f"{shown(seen, SEEN_LIMIT)}…"
        found.append(f"`{where}`: {text[0].lower()}{text[1:]}, seen {cut}")
    return found


def path_of(answer: Answer) -> str:
    """Path and query of an answer's URL."""
    return "/" + answer.url.partition("://")[2].partition("/")[2]


def name_of(answer: Answer) -> str:
    """`GET /health`: how messages and evidence name an answer."""
    return f"{answer.method} {path_of(answer)}"
