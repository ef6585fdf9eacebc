"""What the tests covered: each requirement with its tests and how they ended, and each endpoint of
the contract with the statuses that were promised and those that were seen. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from pydantic import JsonValue

from hokusai_validation.catalogue import REQUIREMENTS, entries
from hokusai_validation.report import Coverage, CoveredTest, Endpoint, Requirement
from hokusai_validation.result import Result, final_attempts

NO_ROW = "no row"

# Method, path, the statuses that the contract promises. `{…}` stands for any rest of a path.
CONTRACT: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("GET", "/health", (200,)),
    ("GET", "/health?detailed=true", (200,)),
    ("GET", "/ready", (200, 503)),
    ("GET", "/live", (200,)),
    ("GET", "/version", (200,)),
    ("GET", "/metrics", (200,)),
    ("GET", "/health/mlflow", (200, 500, 503)),
    ("POST", "/health/mlflow/reset", (200, 401, 500)),
    ("GET", "/health/status", (200,)),
    ("GET", "/api/health/mlflow", (200, 503)),
    ("GET", "/api/health/mlflow/detailed", (200, 503)),
    ("GET", "/api/health/mlflow/connectivity", (200, 503)),
    ("ANY", "/api/mlflow/{path}", (200, 401, 404, 429, 502, 503, 504)),
    ("ANY", "/mlflow/{path}", (200,)),
    ("GET", "/docs", (200,)),
    ("GET", "/redoc", (200,)),
    ("GET", "/openapi.json", (200,)),
    ("POST", "/api/v1/keys/validate", (200, 401, 429)),
    ("POST", "/api/v1/usage/{key_id}", (200,)),
)


def coverage(results: Iterable[Result]) -> Coverage:
    """What these rows cover."""
    rows = tuple(results)
    last = {row.test: row for row in final_attempts(rows)}
    requirements = tuple(_requirement(name, says, last) for name, says in REQUIREMENTS.items())
    endpoints = _endpoints(answered for row in rows for answered in answers(row.evidence))
    return Coverage(
        requirements=requirements,
        endpoints=endpoints,
        promised_statuses=sum(len(each.seen) for each in endpoints),
        seen_statuses=sum(1 for each in endpoints for count in each.seen.values() if count),
    )


def answers(evidence: JsonValue | Mapping[str, JsonValue]) -> Iterator[tuple[str, str, int]]:
    """Every answer in a row's evidence, however deep: method, path with query, status."""
    if isinstance(evidence, Mapping):
        request, status = evidence.get("request"), evidence.get("status")
        if isinstance(request, str) and isinstance(status, int) and " " in request:
            method, _, url = request.partition(" ")
            try:
                parts = urlsplit(url)
            except ValueError:
                return
            yield method, f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}", status
            return
        for value in evidence.values():
            yield from answers(value)
    elif isinstance(evidence, list | tuple):
        for value in evidence:
            yield from answers(value)


def _requirement(name: str, says: str, last: Mapping[str, Result]) -> Requirement:
    tests = tuple(
        CoveredTest(
            id=entry.id,
            test=entry.test,
            status=last[entry.test].status.value if entry.test in last else NO_ROW,
            critical=entry.critical,
        )
        for entry in entries()
        if entry.requirement == name
    )
    return Requirement(
        requirement=name, says=says, tests=tests, counts=dict(Counter(test.status for test in tests))
    )


def _endpoints(seen: Iterable[tuple[str, str, int]]) -> tuple[Endpoint, ...]:
    counted: dict[tuple[str, str], Counter[int]] = {(method, path): Counter() for method, path, _ in CONTRACT}
    for method, path, status in seen:
        endpoint = endpoint_of(method, path)
        if endpoint is not None:
            counted[endpoint][status] += 1
    return tuple(
        Endpoint(
            method=method,
            path=path,
            seen={str(status): counted[method, path][status] for status in promised},
            others={
                str(status): count
                for status, count in sorted(counted[method, path].items())
                if status not in promised
            },
        )
        for method, path, promised in CONTRACT
    )


def endpoint_of(method: str, path: str) -> tuple[str, str] | None:
    """The contract's endpoint that a request went to; the one that says more wins."""
    bare, _, query = path.partition("?")
    for wanted_method, wanted, _ in CONTRACT:
        wanted_path, _, wanted_query = wanted.partition("?")
        if wanted_method not in ("ANY", method) or not _fits(wanted_path, bare):
            continue
        if wanted_query == "" and wanted == "/health" and "detailed=true" in query.lower():
            continue
        if wanted_query and wanted_query not in query.lower():
            continue
        return wanted_method, wanted
    return None


def _fits(template: str, path: str) -> bool:
    pattern = "".join(
        ".+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", template)
    )
    return re.fullmatch(pattern, path.rstrip("/") or "/") is not None
