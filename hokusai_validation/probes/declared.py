"""A target's own checks: the question is asked, and its answer held to what the file expects."""

import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import singledispatch
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import JsonValue

from hokusai_validation.checks import (
    ROWS_LIMIT,
    Bounds,
    Check,
    DnsCheck,
    HttpCheck,
    RedisCheck,
    SqlCheck,
    TcpCheck,
    TlsCheck,
    Wanted,
)
from hokusai_validation.errors import StatementRefused, TargetInvalid
from hokusai_validation.facts import FactKind
from hokusai_validation.observation import ErrorClass
from hokusai_validation.permission import Gate
from hokusai_validation.probes.contract.check import failure
from hokusai_validation.redaction import shown
from hokusai_validation.resources import certificates, recording
from hokusai_validation.resources.database import Database
from hokusai_validation.resources.http import Answer, HttpClient
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.reaching import accepted
from hokusai_validation.resources.redis import Redis
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.sections import SecretRef
from hokusai_validation.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

SEEN_LIMIT = 120


class Asker:
    """What checks are asked with: the target, what may be done to it, its secrets."""

    def __init__(self, target: Target, gate: Gate, secrets: Secrets, evidence: Evidence) -> None:
        self.target = target
        self.secrets = secrets
        self.evidence = evidence
        self.resolver = Resolver(target.dns.resolver)
        self._gate = gate

    def ask(self, check: Check) -> None:
        """Ask a check's question, of hosts that the target permits only.

        Raises NotPermitted; ExpectationUnmet with what is otherwise than expected; the leaves of
        RequestFailed; SecretMissing; TargetInvalid where the check's own statement is at fault."""
        for host in check.hosts:
            self._gate.host(host)
        self.evidence.record("check", {"kind": check.kind, "asks": check.asks, "says": check.says})
        with recording.about(check.component):
            began = time.perf_counter()
            differences = answered(check, self)
            elapsed_ms = (time.perf_counter() - began) * 1000
        self.evidence.metric("elapsed_ms", round(elapsed_ms, 3))
        limit_ms = check.expect.latency_ms
        if differences:
            message = f"{check.asks}: {'; '.join(differences)}."
            raise failure(message, self.evidence, FactKind.SCHEMA_MISMATCH, check.component)
        if limit_ms is not None and elapsed_ms > limit_ms:
            message = f"{check.asks}: answered in {elapsed_ms:.0f} ms, expected {limit_ms:g} ms at most."
            raise failure(message, self.evidence, FactKind.SLOW, check.component)


@singledispatch
def answered(check: object, asker: Asker) -> list[str]:
    """How the answer to a check differs from what is expected, each in a few words; [] where not."""
    raise NotImplementedError(type(check).__name__)


@answered.register
def _http(check: HttpCheck, asker: Asker) -> list[str]:
    parts = urlsplit(check.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        name: asker.secrets.value(value).get_secret_value() if isinstance(value, SecretRef) else value
        for name, value in check.headers.items()
    }
    key = None if check.key is None else asker.secrets.value(check.key)
    with HttpClient(
        f"{parts.scheme}://{parts.netloc}",
        tls=asker.target.tls,
        resolver=asker.resolver,
        key=key,
        timeout_s=check.timeout_s,
    ) as client:
        answer = client.request(check.method, path, key=key is not None, headers=headers)
    asker.evidence.answer(f"{check.method} {path}", answer)
    expected = check.expect
    if answer.status not in (expected.status or range(200, 300)):
        wanted = " or ".join(map(str, expected.status)) or "2xx"
        recording.unmet(answer.observation, f"status {wanted}", ErrorClass.WRONG_VALUE)
        return [f"answered {answer.status}, expected {wanted}"]
    recording.met(answer.observation)
    found = [
        text
        for name, wanted_header in expected.headers.items()
        for text in _differs(f"header {name}", answer.headers.get(name.lower()), wanted_header)
    ]
    body = _json(answer) if expected.fields else None
    for where, wanted_field in expected.fields.items():
        found += _differs(f"`{where}`", _at(body, where), wanted_field)
    if found:
        recording.unmet(answer.observation, "what the check expects", ErrorClass.WRONG_VALUE)
    return found


@answered.register
def _tcp(check: TcpCheck, asker: Asker) -> list[str]:
    question = recording.ask("tcp.connect", "", check.host, check.port)
    where = f"{check.host}:{check.port}"
    accepted(asker.resolver, check.host, check.port, check.timeout_s, call=where, question=question)
    question.ok()
    return []


@answered.register
def _dns(check: DnsCheck, asker: Asker) -> list[str]:
    addresses = asker.resolver.addresses(check.host, check.record)
    asker.evidence.record("addresses", addresses)
    missing = [each for each in check.expect.addresses if each not in addresses]
    return [f"{', '.join(missing)} is not among its addresses: {', '.join(addresses)}"] if missing else []


@answered.register
def _tls(check: TlsCheck, asker: Asker) -> list[str]:
    seen = certificates.look_at(check.url, tls=asker.target.tls, resolver=asker.resolver)
    asker.evidence.record("certificate", seen)
    left = seen.days_left(datetime.now(UTC))
    asker.evidence.metric("certificate_days_left", round(left, 2))
    wanted = check.expect.days
    if wanted is not None and left < wanted:
        return [f"the certificate expires in {left:.0f} days, expected {wanted} at least"]
    return []


@answered.register
def _sql(check: SqlCheck, asker: Asker) -> list[str]:
    if check.database is None:
        database = Database.from_target(asker.target, asker.secrets)
    else:
        password = asker.secrets.value(check.database.password)
        database = Database(check.database, password, resolver=asker.resolver)
    with database.session(
        connect_timeout_s=check.timeout_s, statement_timeout_s=check.timeout_s
    ) as connection:
        database.rows(connection, "BEGIN TRANSACTION READ ONLY")
        rows = _read(check, database, connection)
        database.rows(connection, "ROLLBACK")
    asker.evidence.record("rows", len(rows))
    expected, found = check.expect, []
    if expected.rows is not None:
        found += _differs("number of rows", len(rows), expected.rows)
    if expected.value is not None:
        found += _differs("first value", _plain(rows[0][0]) if rows else None, expected.value)
    return found


def _read(check: SqlCheck, database: Database, connection: "Connection") -> list[tuple[object, ...]]:
    """The rows of a check's statement. What is wrong with its text is the check's own defect, not the target's."""
    try:
        with recording.provoked(ErrorClass.BAD_REQUEST, ErrorClass.READ_ONLY):
            # A cursor takes a query only, and its answer is read no further than asked for.
            database.rows(connection, f"DECLARE answer CURSOR FOR {check.statement}")
            return database.rows(connection, f"FETCH {ROWS_LIMIT} FROM answer")
    except StatementRefused as error:
        raise TargetInvalid(
            f"Check '{check.name}' can't be asked, its `statement` is at fault: {error} Correct it in the target file."
        ) from None


@answered.register
def _redis(check: RedisCheck, asker: Asker) -> list[str]:
    if check.redis is None:
        redis = Redis.from_target(asker.target, asker.secrets)
    else:
        section = check.redis
        redis = Redis(
            section.host,
            section.port,
            password=None if section.password is None else asker.secrets.value(section.password),
            tls=asker.target.tls if section.tls else None,
            resolver=asker.resolver,
            connect_timeout_s=check.timeout_s,
            answer_timeout_s=check.timeout_s,
        )
    with closing(redis):
        value = _plain(redis.run(*check.command))
    asker.evidence.record("value", value)
    return [] if check.expect.value is None else _differs("value", value, check.expect.value)


def _differs(what: str, seen: JsonValue, wanted: Wanted) -> list[str]:
    """[] where a value is the wanted one; else what was seen instead."""
    if isinstance(wanted, Bounds):
        expected, holds = str(wanted), _within(seen, wanted)
    else:
        expected, holds = repr(wanted), seen == wanted and isinstance(seen, bool) == isinstance(wanted, bool)
        if not holds and isinstance(seen, str) and not isinstance(wanted, str):
            holds = seen == str(wanted)  # headers and Redis know texts only
    if holds:
        return []
    return [f"{what} is {'missing' if seen is None else shown(repr(seen), SEEN_LIMIT)}, expected {expected}"]


def _within(seen: JsonValue, wanted: Bounds) -> bool:
    if wanted.contains is not None:
        return isinstance(seen, str) and wanted.contains in seen
    if isinstance(seen, bool) or not isinstance(seen, int | float | str):
        return False
    try:
        number = float(seen)
    except ValueError:
        return False
    low, high = wanted.min, wanted.max
    return (low is None or number >= low) and (high is None or number <= high)


def _json(answer: Answer) -> JsonValue:
    body: JsonValue = answer.json()
    return body


def _at(body: JsonValue, where: str) -> JsonValue:
    """What stands at a dotted path; None where nothing does."""
    for part in where.split("."):
        if isinstance(body, Mapping):
            body = body.get(part)
        elif isinstance(body, list) and part.isdecimal() and int(part) < len(body):
            body = body[int(part)]
        else:
            return None
    return body


def _plain(value: object) -> JsonValue:
    """A store's value as JSON has it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
