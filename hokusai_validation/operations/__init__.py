"""The table of operations: what a question is called, of which kind it is, and over which edges of
the topology it is answered. Pure; `operations.toml` is the table."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from hokusai_validation.observation import Edge, Kind

VALIDATION = "validation"
OTHER = "other"  # a request that the table has no name for

PROTOCOLS: Mapping[str, str] = {
    "database": "postgresql",
    "cache": "redis",
    "queue": "redis",
    "artifact_store": "s3",
    "secrets": "aws",
    "service_discovery": "dns",
}


@dataclass(frozen=True)
class Way:
    """An edge between two roles. `optional` as in `Edge`."""

    source: str
    to: str
    optional: bool = False


@dataclass(frozen=True)
class Operation:
    """One row of the table. `role` is empty where any component may be asked it."""

    name: str
    kind: Kind
    role: str = ""
    needs: tuple[Way, ...] = ()
    example: str = ""  # `GET /health?detailed=true`, where it is one request


@dataclass(frozen=True)
class _Route:
    operation: Operation
    methods: frozenset[str]
    pattern: re.Pattern[str]


def find(name: str) -> Operation:
    """The operation of a name; one that is in no row is a read of anything."""
    return _table()[0].get(name, Operation(name, Kind.READ))


def of_request(role: str, method: str, path: str, *, with_key: bool = False, proxy: str = "") -> Operation:
    """The operation that an HTTP request is: `path` with its query, `role` who is to answer, `proxy`
    the gateway's path to the tracking server. A request that the table doesn't have is
    `ROLE.other`."""
    _, routes, key = _table()
    if role == "api_gateway":
        for prefix in (proxy, "/mlflow"):
            if prefix and path.startswith(prefix + "/"):
                inner = of_request("tracking_server", method, path[len(prefix) :])
                needs = (Way("api_gateway", "tracking_server"), *inner.needs)
                found = Operation(
                    f"proxy.{inner.name.removeprefix('mlflow.')}", inner.kind, "api_gateway", needs
                )
                return _keyed(found, key) if with_key else found
    for route in routes:
        if route.operation.role != role or method not in route.methods:
            continue
        match = route.pattern.fullmatch(path)
        if match is not None:
            groups = {name: (text or "").replace("/", ".") for name, text in match.groupdict().items()}
            found = replace(route.operation, name=route.operation.name.format(**groups))
            return _keyed(found, key) if with_key else found
    kind = Kind.READ if method in ("GET", "HEAD", "OPTIONS") else Kind.WRITE
    found = Operation(f"{role}.{OTHER}", kind, role)
    return _keyed(found, key) if with_key and role == "api_gateway" else found


def path_of(
    operation: Operation,
    *,
    dialled: str,
    names: Mapping[str, str | None],
    asker: str = VALIDATION,
    scheme: str = "http",
) -> tuple[Edge, ...]:
    """The edges that a question passes: from the asker to what it dials, on to who is to answer, and
    what the answer needs. `names` gives a role's component here, None where it is not deployed."""
    answering = names.get(operation.role) or dialled
    if scheme not in ("http", "https"):
        answering = dialled  # no other protocol is passed on by somebody between
    entry = PROTOCOLS.get(operation.role, scheme) if dialled == answering else scheme
    edges = [Edge(source=asker, to=dialled, protocol=entry)]
    if answering != dialled:
        edges.append(Edge(source=dialled, to=answering, protocol="http"))
    for way in operation.needs:
        source, to = names.get(way.source), names.get(way.to)
        if source is None or to is None:
            continue
        protocol = PROTOCOLS.get(way.to, "http")
        edge = Edge(source=source, to=to, protocol=protocol, optional=way.optional)
        if edge not in edges:
            edges.append(edge)
    return tuple(edges)


def _keyed(operation: Operation, key: tuple[Way, ...]) -> Operation:
    return replace(operation, needs=(*key, *operation.needs))


def _way(text: str) -> Way:
    source, _, to = text.rstrip("?").partition("->")
    return Way(source, to, text.endswith("?"))


@cache
def _table() -> tuple[Mapping[str, Operation], tuple[_Route, ...], tuple[Way, ...]]:
    values = tomllib.loads((Path(__file__).parent / "operations.toml").read_text(encoding="utf-8"))
    rows: dict[str, Operation] = {}
    routes = []
    for row in values["operation"]:
        needs = tuple(_way(text) for text in row.get("needs", ()))
        methods, _, pattern = row.get("route", "").partition(" ")
        plain = row.get("example") or (pattern if pattern == re.escape(pattern).replace("\\-", "-") else "")
        example = f"{methods.partition(',')[0]} {plain}" if plain else ""
        operation = Operation(row["name"], Kind(row["kind"]), row.get("role", ""), needs, example)
        rows.setdefault(operation.name, operation)
        if pattern:
            routes.append(_Route(operation, frozenset(methods.split(",")), re.compile(pattern)))
    return rows, tuple(routes), tuple(_way(text) for text in values["key"]["needs"])
