"""What an answer says of the parts behind whoever gave it, each as an error or as well. Pure.

The forms are those of the service contract (`/health`, `/ready`, `/health/mlflow`, `/api/health/mlflow`);
what has another form says nothing here."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hokusai_validation.observation import ErrorClass, Native
from hokusai_validation.resources.classification import Classified, of_text

# What an answer may call the parts of the stack, by role.
ROLES: Mapping[str, str] = {
    "mlflow": "tracking_server",
    "tracking": "tracking_server",
    "model_registry": "tracking_server",
    "postgres": "database",
    "postgresql": "database",
    "database": "database",
    "db": "database",
    "redis": "cache",
    "cache": "cache",
    "message_queue": "queue",
    "queue": "queue",
    "auth": "auth",
    "artifacts": "artifact_store",
    "s3": "artifact_store",
}
_WELL = frozenset({"healthy", "ok", "up", "connected", "pass", "passed"})
_BREAKER = frozenset({"degraded", "recovering", "open", "half_open"})
_PARTS_LIMIT = 50


@dataclass(frozen=True)
class Report:
    """One part and how it is; `error` is None where it is well. `operation` is what was asked of it."""

    part: str
    error: Classified | None
    operation: str = "reported.health"
    elapsed_ms: float | None = None


def of_answer(operation: str, status: int, body: bytes) -> tuple[Report, ...]:
    """The reports in an answer to an operation of the table; none where its form is another."""
    read = _READERS.get(operation)
    if read is None:
        return ()
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(values, dict):
        return ()
    return tuple(read(values, status))[:_PARTS_LIMIT]


def _of_services(values: Mapping[str, object], _status: int) -> Iterator[Report]:
    services = values.get("services")
    for name, state in services.items() if isinstance(services, dict) else ():
        word = state.get("status") if isinstance(state, dict) else state
        if not isinstance(word, str) or word.lower() == "disabled":
            continue
        details = values.get(f"{name}_details")
        texts = [values.get(f"{name}_error"), *_texts(details), *_texts(state)]
        yield Report(str(name), _error(word.lower(), texts), elapsed_ms=_elapsed(details))


def _of_ready(values: Mapping[str, object], _status: int) -> Iterator[Report]:
    checks = values.get("checks")
    for check in checks if isinstance(checks, list) else ():
        if not isinstance(check, dict) or not isinstance(check.get("name"), str):
            continue
        if check.get("passed") is True:
            yield Report(check["name"], None)
        elif check.get("passed") is False:
            yield Report(check["name"], _error("unhealthy", _texts(check)))


def _of_mlflow(values: Mapping[str, object], status: int) -> Iterator[Report]:
    connected, state = values.get("connected"), values.get("circuit_breaker_state")
    if connected is True:
        yield Report("mlflow", None, elapsed_ms=_elapsed(values))
    elif status == 503 or state in ("OPEN", "HALF_OPEN"):
        yield Report("mlflow", _error("open", ()))
    elif connected is False and status < 500:
        yield Report("mlflow", _error("unhealthy", _texts(values)))


def _of_way(values: Mapping[str, object], _status: int) -> Iterator[Report]:
    checks = values.get("checks")
    for name, operation in (
        ("connectivity", "reported.health"),
        ("experiments_api", "reported.experiments"),
        ("artifacts_api", "reported.artifacts"),
    ):
        check = checks.get(name) if isinstance(checks, dict) else None
        if isinstance(check, dict) and isinstance(check.get("status"), str):
            yield Report("mlflow", _error(check["status"].lower(), _texts(check)), operation)


_READERS = {
    "health": _of_services,
    "health.detailed": _of_services,
    "health.status": _of_services,
    "ready": _of_ready,
    "health.mlflow": _of_mlflow,
    "api_health.mlflow": _of_way,
}


def _error(state: str, texts: object) -> Classified | None:
    if state in _WELL:
        return None
    if state in _BREAKER:
        return Classified(ErrorClass.BREAKER_OPEN, Native(system="health", code=state))
    for text in texts if isinstance(texts, list | tuple) else ():
        if isinstance(text, str) and text:
            found = of_text(text)
            if found is not None:
                return found
    return Classified(ErrorClass.STATE, Native(system="health", code="unhealthy"))


def _texts(values: object) -> tuple[object, ...]:
    if not isinstance(values, dict):
        return ()
    return tuple(values.get(name) for name in ("error", "message", "detail", "degradation_reason"))


def _elapsed(values: object) -> float | None:
    found = values.get("response_time_ms") if isinstance(values, dict) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
