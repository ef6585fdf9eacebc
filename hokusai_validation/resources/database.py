"""PostgreSQL as the checks speak it: connections bounded in time, errors by kind, a pool as MLflow's.

libpq waits without limit for an answer once it is connected, so every statement runs under a
deadline of ours beside the server's `statement_timeout`.
"""

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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
    StatementTimedOut,
    TargetInvalid,
    TlsFailed,
)
from hokusai_validation.redaction import shown
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Database as Settings
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
        address = self._resolver.addresses(settings.host)[0]
        call = f"PostgreSQL {self.address} as {asked_user}"
        # libpq counts whole seconds and tells neither kind of waiting from the other: first a bare
        # connection, to know whether anything accepts at all.
        self._accepted(address, limit_s, call)
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
            raise _named(error, call, limit_s) from None
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
        try:
            with watch, connection.cursor() as cursor:
                cursor.execute(statement, tuple(arguments) or None)
                return list(cursor.fetchall()) if cursor.description is not None else []
        except psycopg2.errors.QueryCanceled:
            raise StatementTimedOut(f"{call}: cancelled by the server at its statement time-out.") from None
        except psycopg2.Error as error:
            if watch.passed:
                raise ReadTimedOut(f"{call}: no answer within {wait_s:g} s.") from None
            raise _named(error, call, wait_s) from None

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

    def _accepted(self, address: str, limit_s: float, call: str) -> None:
        try:
            socket.create_connection((address, self.settings.port), timeout=limit_s).close()
        except TimeoutError:
            raise ConnectTimedOut(f"{call}: no connection within {limit_s:g} s.") from None
        except ConnectionRefusedError:
            raise ConnectionRefused(f"{call}: connection refused.") from None
        except OSError as error:
            raise ConnectTimedOut(f"{call}: no connection: {error}.") from None


def _host_of(target: Target, secrets: Secrets) -> str:
    """The address that RDS gives the instance."""
    from hokusai_validation.resources.aws.client import Aws

    if target.aws is None or target.aws.rds_instance is None:
        raise TargetInvalid(
            f"Target '{target.name}' has neither `database.host` nor `aws.rds_instance`; name one of them."
        )
    aws = Aws.from_target(target, secrets)
    try:
        address = aws.data.rds_instance(target.aws.rds_instance).address
    finally:
        aws.close()
    if not address:
        raise ConnectionRefused(
            f"RDS instance {target.aws.rds_instance} has no address: it is not available."
        )
    return address


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


# What libpq and the server say, lower case: there are no codes before a session stands.
_LOGIN = (
    "password authentication failed",
    "no pg_hba.conf entry",
    "not permitted to log in",
    "no password supplied",
    "permission denied for database",
)
_EXHAUSTED = ("too many clients", "connection slots", "too many connections")
_BROKEN = (
    "closed the connection",
    "connection reset",
    "connection already closed",
    "terminating connection",
    "eof detected",
    "broken pipe",
    "could not receive data",
    "could not send data",
)


def _named(error: Exception, call: str, limit_s: float) -> RequestFailed:
    code = getattr(error, "pgcode", None) or ""
    low = str(error).lower()
    first = shown(" ".join(str(error).split()), 240)

    def says(*parts: str) -> bool:
        return any(part in low for part in parts)

    if code.startswith("28") or says(*_LOGIN):
        return LoginRefused(f"{call}: the login was refused: {first}")
    if code == "53300" or says(*_EXHAUSTED):
        return ConnectionsExhausted(f"{call}: the server has no connection left: {first}")
    if says("timeout expired"):
        return ReadTimedOut(f"{call}: accepted, but no session within {limit_s:g} s.")
    if says("connection refused"):
        return ConnectionRefused(f"{call}: connection refused.")
    if says(*_BROKEN):
        return ConnectionReset(f"{call}: the connection broke: {first}")
    if says("ssl", "certificate"):
        return TlsFailed(f"{call}: TLS failed: {first}")
    return ProtocolViolated(f"{call}: {first}")
