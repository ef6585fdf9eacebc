"""PostgreSQL as the checks speak it: connections bounded in time, errors by kind, a pool as MLflow's.

libpq waits without limit for an answer once it is connected, so every statement runs under a
deadline of ours beside the server's `statement_timeout`.
"""

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from pydantic import SecretStr

from hokusai_validation.errors import (
    ConnectionRefused,
    ConnectionReset,
    ConnectionsExhausted,
    ConnectTimedOut,
    LoginRefused,
    ProtocolViolated,
    ReadTimedOut,
    RequestFailed,
    StatementRefused,
    StatementTimedOut,
    TargetInvalid,
    TlsFailed,
)
from hokusai_validation.observation import ErrorClass, Native
from hokusai_validation.redaction import shown
from hokusai_validation.resources import hanging, recording
from hokusai_validation.resources.classification import Classified, of_database
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.reaching import accepted
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.sections import Database as Settings
from hokusai_validation.target import Target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from sqlalchemy.pool import QueuePool

# Over the server's statement time-out: past it the server itself is silent.
GRACE_S = 2.0


class Database:
    """One database, by its own address, as the user that the target names."""

    def __init__(self, settings: Settings, password: SecretStr, *, resolver: Resolver | None = None) -> None:
        self.settings = settings
        self.address = f"{settings.host}:{settings.port}"
        self._password = password
        self._resolver = resolver or Resolver()

    @classmethod
    def from_target(cls, target: Target, secrets: Secrets) -> Self:
        """As `[database]` of the target file says.

        Raises TargetInvalid without that section, SecretMissing, and the leaves of AwsError where
        the host is to be asked of RDS."""
        settings = target.database
        if settings is None:
            raise TargetInvalid(f"Target '{target.name}' has no [database] section; add one to look into it.")
        if not settings.host:
            settings = settings.model_copy(update={"host": _host_of(target, secrets)})
        return cls(settings, secrets.value(settings.password), resolver=Resolver(target.dns.resolver))

    def connect(
        self,
        *,
        user: str | None = None,
        password: SecretStr | None = None,
        name: str | None = None,
        connect_timeout_s: float | None = None,
        statement_timeout_s: float | None = None,
    ) -> "Connection":
        """A new connection in autocommit, as configured unless told otherwise.

        Raises the leaves of RequestFailed; LoginRefused when user or password is refused."""
        import psycopg2

        settings = self.settings
        limit_s = settings.connect_timeout_s if connect_timeout_s is None else connect_timeout_s
        statement_s = settings.statement_timeout_s if statement_timeout_s is None else statement_timeout_s
        asked_user = settings.user if user is None else user
        call = f"PostgreSQL {self.address} as {asked_user}"
        question = self._question("sql.connect")
        asked = question.asked
        if asked is not None:
            limit_s = hanging.limit_of(asked, limit_s, question.place.dialled)
        # libpq counts whole seconds and tells neither kind of waiting from the other: first a bare
        # connection, to know whether anything accepts at all.
        try:
            address = accepted(
                self._resolver, self.settings.host, self.settings.port, limit_s, call=call, question=question
            )
        except ConnectTimedOut:
            hanging.ended(asked, ErrorClass.CONNECT_TIMEOUT)
            raise
        try:
            connection: Connection = psycopg2.connect(
                host=settings.host,
                hostaddr=address,
                port=settings.port,
                dbname=settings.name if name is None else name,
                user=asked_user,
                password=(self._password if password is None else password).get_secret_value(),
                sslmode=settings.sslmode,
                connect_timeout=max(2, round(limit_s)),  # libpq takes 1 for 2
                application_name="hokusai-validation",
                options=f"-c statement_timeout={round(statement_s * 1000)}",
            )
        except psycopg2.Error as error:
            found = of_database(error)
            if found.error_class is ErrorClass.CONNECT_TIMEOUT:  # accepted: that was tried above
                found = replace(found, error_class=ErrorClass.READ_TIMEOUT)
            question.failed(found)
            hanging.ended(asked, found.error_class)
            raise _failure(found, error, call, limit_s) from None
        question.ok()
        hanging.ended(asked, None)
        connection.autocommit = True
        return connection

    @contextmanager
    def session(self, **options: Any) -> "Iterator[Connection]":
        """`connect`, closed at the end."""
        connection = self.connect(**options)
        try:
            yield connection
        finally:
            with suppress(Exception):
                connection.close()

    def rows(
        self,
        connection: "Connection",
        statement: str,
        arguments: Sequence[object] = (),
        *,
        limit_s: float | None = None,
    ) -> list[tuple[Any, ...]]:
        """What a statement answers; [] where it gives no rows.

        Raises StatementTimedOut when the server cancelled it, ReadTimedOut when the server stayed
        silent past `limit_s`, and the other leaves of RequestFailed."""
        import psycopg2

        wait_s = self.settings.statement_timeout_s + GRACE_S if limit_s is None else limit_s
        call = f"PostgreSQL {self.address}: {' '.join(statement.split())[:80]}"
        watch = _Deadline(connection, wait_s)
        question = self._question(f"sql.{kind_of(statement)}")
        try:
            with watch, connection.cursor() as cursor:
                cursor.execute(statement, tuple(arguments) or None)
                found = list(cursor.fetchall()) if cursor.description is not None else []
        except psycopg2.Error as error:
            if watch.passed:
                question.failed(_SILENT)
                raise ReadTimedOut(f"{call}: no answer within {wait_s:g} s.") from None
            named = of_database(error)
            question.failed(named)
            raise _failure(named, error, call, wait_s) from None
        question.ok(rows=len(found))
        return found

    def query(
        self, statement: str, arguments: Sequence[object] = (), **options: Any
    ) -> list[tuple[Any, ...]]:
        """One statement over a connection of its own."""
        with self.session(**options) as connection:
            return self.rows(connection, statement, arguments)

    def pool(self, size: int | None = None, timeout_s: float | None = None) -> "QueuePool":
        """A pool of fixed size, the kind that MLflow keeps. Its `dispose()` closes it."""
        from sqlalchemy.pool import QueuePool

        return QueuePool(
            lambda: self.connect(),  # type: ignore[arg-type]  # SQLAlchemy asks for its own protocol
            pool_size=self.settings.pool_size if size is None else size,
            max_overflow=0,
            timeout=self.settings.pool_timeout_s if timeout_s is None else timeout_s,
        )

    def _question(self, name: str) -> recording.Question:
        return recording.ask(name, "database", self.settings.host, self.settings.port)


def _host_of(target: Target, secrets: Secrets) -> str:
    """The address that RDS gives the instance."""
    from hokusai_validation.resources.aws.client import Aws

    if target.aws is None or not (target.aws.rds_instance or target.aws.rds_cluster):
        raise TargetInvalid(
            f"Target '{target.name}' has neither `database.host` nor `aws.rds_instance`; name one of them."
        )
    aws = Aws.from_target(target, secrets)
    try:
        server = aws.data.database_server(target.aws)
    finally:
        aws.close()
    if not server.address:
        raise ConnectionRefused(f"RDS's {server.id} has no address: it is {server.status or 'in no state'}.")
    return server.address


class _Deadline:
    """Breaks a connection's socket when the time is over: the only thing that ends libpq's wait."""

    def __init__(self, connection: "Connection", limit_s: float) -> None:
        self.passed = False
        self._connection = connection
        self._timer = threading.Timer(limit_s, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self.passed = True
        # A duplicate of the descriptor: closing ours must not close libpq's.
        with suppress(Exception):
            duplicate = socket.socket(fileno=os.dup(self._connection.fileno()))
            try:
                duplicate.shutdown(socket.SHUT_RDWR)
            finally:
                duplicate.close()


_SILENT = Classified(ErrorClass.READ_TIMEOUT, Native(system="postgresql", code="silent"))
_LOGIN = (ErrorClass.LOGIN_REFUSED, ErrorClass.TLS_REQUIRED)
_TLS = (
    ErrorClass.TLS_UNTRUSTED,
    ErrorClass.TLS_CHAIN_INCOMPLETE,
    ErrorClass.TLS_EXPIRED,
    ErrorClass.TLS_NAME,
    ErrorClass.TLS_HANDSHAKE,
)
_BROKEN = (ErrorClass.RESET, ErrorClass.SHUTTING_DOWN, ErrorClass.CLOSED_EARLY)
_WRITES = frozenset(
    ("INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ALTER", "DROP", "TRUNCATE", "GRANT", "REVOKE", "COPY")
)


def kind_of(statement: str) -> str:
    """`write` or `read`, by a statement's first word (or the one that a `WITH` leads to)."""
    words = statement.upper().replace("(", " ").split()
    first = words[0] if words else ""
    writes = first in _WRITES or (first == "WITH" and not _WRITES.isdisjoint(words))
    return "write" if writes else "read"


def _failure(found: Classified, error: Exception, call: str, limit_s: float) -> RequestFailed:
    """The leaf of our tree that a classified error is."""
    first = shown(" ".join(str(error).split()), 240)
    kind, code = found.error_class, found.native.code
    if kind is ErrorClass.STATEMENT_TIMEOUT:
        return StatementTimedOut(f"{call}: cancelled by the server at its statement time-out.")
    if kind is ErrorClass.CANCELLED and code == "57014":
        return StatementTimedOut(f"{call}: cancelled at the server: {first}")
    if kind in _LOGIN or (kind is ErrorClass.PERMISSION and "for database" in first):
        return LoginRefused(f"{call}: the login was refused: {first}")
    if kind is ErrorClass.CONNECTIONS_EXHAUSTED:
        return ConnectionsExhausted(f"{call}: the server has no connection left: {first}")
    if kind in (ErrorClass.CONNECT_TIMEOUT, ErrorClass.READ_TIMEOUT):
        return ReadTimedOut(f"{call}: accepted, but no session within {limit_s:g} s.")
    if kind is ErrorClass.REFUSED:
        return ConnectionRefused(f"{call}: connection refused.")
    if found.native.system == "openssl" or kind in _TLS:
        return TlsFailed(f"{call}: TLS failed: {first}")
    if kind in _BROKEN or code.startswith("08"):
        return ConnectionReset(f"{call}: the connection broke: {first}")
    if kind in (ErrorClass.BAD_REQUEST, ErrorClass.READ_ONLY):
        return StatementRefused(f"{call}: {first}")
    return ProtocolViolated(f"{call}: {first}")
