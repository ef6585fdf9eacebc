"""The database checks against a real PostgreSQL: a healthy database, and one with each thing wrong."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from hokusai_sandbox.ports import Reservations
from hokusai_sandbox.stack import Stack
from hokusai_validation.errors import (
    ConnectionRefused,
    ConnectionsExhausted,
    ConnectTimedOut,
    LoginRefused,
    NameNotResolved,
    ProtocolViolated,
    ReadTimedOut,
    RequestFailed,
    StatementTimedOut,
    TargetInvalid,
)
from hokusai_validation.facts import FactKind as Kind
from hokusai_validation.probes import mlflow_schema
from hokusai_validation.resources.database import Database
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import Status
from hokusai_validation.sections import SecretRef
from hokusai_validation.suite.test_database import TestDatabaseLogin as Login
from hokusai_validation.suite.test_database import TestPermissions as Permissions
from hokusai_validation.suite.test_database import TestPool as Pool
from hokusai_validation.suite.test_database import TestSchema as Schema
from hokusai_validation.suite.test_database import TestTimeouts as Timeouts
from hokusai_validation.suite.test_environment import TestCredentials as Credentials
from hokusai_validation.suite.test_infrastructure import TestAlerts as Alerts
from hokusai_validation.target import Target, read_target
from hokusai_validation_tests.judging import Judgement, judge

pytestmark = pytest.mark.sandbox
COPY = "beyond_copy"
SESSIONS_END_S = 30.0
ADMIN = SecretRef(env="HOKUSAI_SANDBOX_POSTGRES_PASSWORD")


@dataclass
class Place:
    """A database of our own beside MLflow's, made of its schema, and the server's superuser."""

    target: Target
    password: SecretStr
    admin_password: SecretStr

    @property
    def database(self) -> Database:
        assert self.target.database is not None
        return Database(self.target.database, self.password)

    def other(self, password: SecretStr | None = None, **changes: object) -> Database:
        assert self.target.database is not None
        return Database(self.target.database.model_copy(update=changes), password or self.password)

    def sql(self, *statements: str, name: str = COPY) -> None:
        """As superuser."""
        with self.database.session(user="postgres", password=self.admin_password, name=name) as connection:
            for statement in statements:
                self.database.rows(connection, statement)

    def await_no_session(self, connection: Any) -> None:
        """Until the server has ended what tests before have closed: it takes a moment for each."""
        query = (
            "select count(*) from pg_stat_activity where datname = current_database() and usename = 'mlflow'"
        )
        deadline = time.monotonic() + SESSIONS_END_S
        while self.database.rows(connection, query)[0][0]:
            assert time.monotonic() < deadline, "sessions of earlier tests do not end"
            time.sleep(0.02)

    @contextmanager
    def changed(self, do: str, undo: str) -> Iterator[None]:
        self.sql(do)
        try:
            yield
        finally:
            self.sql(undo)

    def judge(self, check: Callable[..., None], target: Target | None = None, **given: object) -> Judgement:
        fixtures = {"target": target or self.target, "database": self.database} | given
        return judge(check, "postgres", **fixtures)


@pytest.fixture(scope="module")
def place(sandbox: Stack) -> Iterator[Place]:
    """Made once, and removed again."""
    target = read_target(str(sandbox.target_file))
    assert target.database is not None
    secrets = Secrets(target)
    copied = target.model_copy(update={"database": target.database.model_copy(update={"name": COPY})})
    made = Place(copied, secrets.value(target.database.password), secrets.value(ADMIN))
    made.sql(
        f"drop database if exists {COPY} with (force)",
        f"create database {COPY} owner mlflow",
        name="postgres",
    )
    revision, tables = mlflow_schema.whole()
    with made.database.session() as connection:
        for table, columns in tables.items():
            definitions = ", ".join(
                f'"{name}" {kind}' for name, _, kind in (column.partition(" ") for column in columns)
            )
            made.database.rows(connection, f"create table {table} ({definitions})")
        made.database.rows(connection, "create table alembic_version (version_num varchar(32) not null)")
        made.database.rows(connection, "insert into alembic_version values (%s)", [revision])
        made.database.rows(connection, "create sequence numbers")
    try:
        yield made
    finally:
        made.sql(f"drop database if exists {COPY} with (force)", name="postgres")


CHECKS: dict[str, Callable[..., None]] = {
    "login": Credentials().test_database_login,
    "mlflow": Login().test_connects_as_mlflow,
    "only mlflow": Login().test_only_mlflow_is_connected,
    "wrong password": Login().test_wrong_password_refused,
    "fills": Pool().test_fills_and_times_out,
    "reused": Pool().test_released_connection_is_reused,
    "leaked": Pool().test_connections_are_not_leaked,
    "statement": Timeouts().test_statement_timeout,
    "revision": Schema().test_revision_is_known,
    "tables": Schema().test_tables_and_columns,
    "may": Permissions().test_may_do_what_mlflow_needs,
    "superuser": Permissions().test_is_no_superuser,
    "connections": Alerts().test_database_connections,
}


@pytest.mark.parametrize("check", CHECKS)
def test_passes_on_a_healthy_database(place: Place, check: str) -> None:
    assert place.target.database is not None
    quick = place.target.database.model_copy(update={"pool_timeout_s": 0.3})
    target = place.target.model_copy(update={"database": quick})
    seen = place.judge(CHECKS[check], target)
    assert (seen.status, seen.message, seen.facts) == (Status.PASSED, "", ())


@pytest.mark.parametrize(
    ("check", "do", "undo", "kind"),
    [
        ("tables", "alter table runs rename column status to state", "alter table runs rename column state to status", Kind.SCHEMA_DIFFERS),
        ("tables", "alter table metrics alter column value type text", "alter table metrics alter column value type double precision using value::double precision", Kind.SCHEMA_DIFFERS),
        ("tables", "alter table tags rename to labels", "alter table labels rename to tags", Kind.SCHEMA_DIFFERS),
        ("revision", "update alembic_version set version_num = 'feedfeedfeed'", "update alembic_version set version_num = (select '{revision}')", Kind.SCHEMA_DIFFERS),
        ("revision", "insert into alembic_version values ('second')", "delete from alembic_version where version_num = 'second'", Kind.SCHEMA_DIFFERS),
        ("revision", "alter table alembic_version rename to gone", "alter table gone rename to alembic_version", Kind.SCHEMA_DIFFERS),
        ("may", "revoke update on runs from mlflow", "grant update on runs to mlflow", Kind.PERMISSION_MISSING),
        ("may", "revoke usage on sequence numbers from mlflow", "grant usage on sequence numbers to mlflow", Kind.PERMISSION_MISSING),
        ("superuser", "alter role mlflow createrole", "alter role mlflow nocreaterole", Kind.SUPERUSER),
    ],
)  # fmt: skip
def test_one_thing_wrong_is_red(place: Place, check: str, do: str, undo: str, kind: Kind) -> None:
    with place.changed(do, undo.replace("{revision}", mlflow_schema.whole()[0])):
        seen = place.judge(CHECKS[check])
    assert seen.status is Status.FAILED, seen.message
    assert kind in {fact.kind for fact in seen.facts}


class TestLogins:
    """Who comes in, and as whom."""

    def test_the_user_is_the_one_that_the_target_names(self, place: Place) -> None:
        target = place.target.model_copy(update={"database": place.other(user="postgres").settings})
        assert place.judge(CHECKS["mlflow"], target).status is Status.FAILED  # the connection is mlflow's

    def test_a_session_of_another_user_is_red(self, place: Place) -> None:
        with place.database.session(user="postgres", password=place.admin_password) as other:
            place.await_no_session(other)
            seen = place.judge(CHECKS["only mlflow"])
        assert seen.seen == {(Kind.WRONG_DATABASE_USER, "postgres")}
        assert "postgres (1)" in seen.message

    def test_a_refused_login_is_red(self, place: Place) -> None:
        seen = place.judge(CHECKS["login"], database=place.other(SecretStr("wrong")))
        assert seen.status is Status.FAILED
        assert seen.seen == {(Kind.PASSWORD_REFUSED, "postgres")}

    def test_a_database_that_trusts_everybody_is_red(self, place: Place) -> None:
        class Trusting(Database):
            def query(self, *_: object, **__: object) -> list[tuple[Any, ...]]:
                return [(1,)]

        trusting = Trusting(place.database.settings, place.password)
        seen = place.judge(CHECKS["wrong password"], database=trusting)
        assert seen.seen == {(Kind.BAD_KEY_ACCEPTED, "postgres")}


class FixedSecrets:
    """AWS with a secret of these versions."""

    def __init__(self, **versions: str) -> None:
        self.versions = versions
        self.data = self

    def secret_value(self, _: str, stage: str = "AWSCURRENT") -> SecretStr:
        from hokusai_validation.errors import AwsNotFound

        if stage not in self.versions:
            raise AwsNotFound(f"no {stage}")
        return SecretStr(self.versions[stage])

    def secret_state(self, name: str) -> Any:
        from hokusai_validation.resources.aws.models import SecretState

        return SecretState(name=name, arn="arn")


def login(user: str, password: str) -> str:
    return json.dumps({"username": user, "password": password})


class TestSecretVersions:
    """The password in Secrets Manager, and the one before it."""

    def judge(self, place: Place, check: Callable[..., None], **versions: str) -> Judgement:
        return place.judge(check, aws=FixedSecrets(**versions))

    def test_the_current_one_opens(self, place: Place) -> None:
        good = login("mlflow", place.password.get_secret_value())
        assert self.judge(place, Login().test_secret_opens_database, AWSCURRENT=good).status is Status.PASSED

    def test_a_wrong_one_is_red(self, place: Place) -> None:
        seen = self.judge(place, Login().test_secret_opens_database, AWSCURRENT=login("mlflow", "wrong"))
        assert (Kind.PASSWORD_REFUSED, "postgres") in seen.seen

    def test_one_that_only_the_secret_knows_is_told_apart(self, place: Place) -> None:
        seen = self.judge(
            place,
            Login().test_secret_opens_database,
            AWSCURRENT=login("mlflow", "rotated"),
            AWSPREVIOUS=login("mlflow", place.password.get_secret_value()),
        )
        assert seen.seen == {(Kind.PASSWORD_REFUSED, "postgres"), (Kind.SECRET_NEWER_THAN_TASKS, "secrets")}
        assert "the secret was changed, the database's password was not" in seen.message

    def test_another_user_is_red(self, place: Place) -> None:
        seen = self.judge(place, Login().test_secret_opens_database, AWSCURRENT=login("postgres", "any"))
        assert seen.seen == {(Kind.WRONG_DATABASE_USER, "secrets")}

    @pytest.mark.parametrize(
        ("previous", "status"),
        [(None, Status.SKIPPED), ("good", Status.SKIPPED), ("old", Status.PASSED)],
    )
    def test_an_older_one(self, place: Place, previous: str | None, status: Status) -> None:
        good = place.password.get_secret_value()
        versions = {"AWSCURRENT": login("mlflow", good)}
        if previous is not None:
            versions["AWSPREVIOUS"] = login("mlflow", good if previous == "good" else "an-older-one")
        assert self.judge(place, Login().test_older_secret_told_apart, **versions).status is status

    def test_an_older_one_that_still_opens_is_red(self, place: Place) -> None:
        seen = self.judge(
            place,
            Login().test_older_secret_told_apart,
            AWSCURRENT=login("mlflow", "rotated"),
            AWSPREVIOUS=login("mlflow", place.password.get_secret_value()),
        )
        assert seen.seen == {(Kind.SECRET_NEWER_THAN_TASKS, "secrets")}


class TestLimits:
    """Pools, connections and time-outs."""

    def test_a_server_that_is_nearly_full_is_red(self, place: Place) -> None:
        alerts = place.target.alerts.model_copy(update={"max_connection_share": 0.0001})
        seen = place.judge(CHECKS["connections"], place.target.model_copy(update={"alerts": alerts}))
        assert seen.seen == {(Kind.CONNECTIONS_NEAR_LIMIT, "postgres")}

    def test_a_session_idle_in_a_transaction_is_red(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hokusai_validation.suite.test_database.IDLE_IN_TRANSACTION_S", -1)
        with place.database.session() as connection:
            place.database.rows(connection, "begin")
            seen = place.judge(CHECKS["leaked"])
        assert seen.seen == {(Kind.CONNECTION_LEAK, "postgres")}

    def test_a_role_without_connections_left_is_told_apart(self, place: Place) -> None:
        password = SecretStr("for-this-test")
        role = f"create role beyond_full login connection limit 0 password '{password.get_secret_value()}'"
        with place.changed(role, "drop role beyond_full"), pytest.raises(ConnectionsExhausted):
            place.other(password, user="beyond_full").connect()

    def test_a_pool_that_never_reuses_is_red(self, place: Place) -> None:
        class Leaking(Database):
            def pool(self, *_: object, **__: object) -> Any:
                from sqlalchemy.pool import NullPool

                return NullPool(lambda: self.connect())  # type: ignore[arg-type]

        leaking = Leaking(place.database.settings, place.password)
        seen = place.judge(CHECKS["reused"], database=leaking)
        assert seen.seen == {(Kind.CONNECTION_LEAK, "postgres")}

    def test_a_role_that_may_not_fill_the_pool_is_red(self, place: Place) -> None:
        assert place.target.database is not None
        fewer = place.target.database.pool_size - 1
        limit = f"alter role mlflow connection limit {fewer}"
        with place.changed(limit, "alter role mlflow connection limit -1"):
            seen = place.judge(CHECKS["fills"])
        assert seen.status is Status.FAILED
        assert (Kind.POOL_EXHAUSTED, "postgres") in seen.seen

    def test_a_statement_that_is_not_cancelled_is_red(self, place: Place) -> None:
        class Patient(Database):
            @contextmanager
            def session(self, **options: Any) -> Iterator[Any]:
                with super().session(**options | {"statement_timeout_s": 2.5}) as connection:
                    yield connection

        patient = Patient(place.database.settings, place.password)
        seen = place.judge(CHECKS["statement"], database=patient)
        assert seen.status is Status.FAILED
        assert "was cancelled after 2.5" in seen.message

    def test_a_server_that_lets_nobody_in_is_red(self, place: Place) -> None:
        with silent_server() as port:
            seen = place.judge(
                Timeouts().test_connect_timeout, database=place.other(port=port, connect_timeout_s=0.5)
            )
        assert seen.status is Status.FAILED
        assert (Kind.READ_TIMED_OUT, "postgres") in seen.seen

    def test_a_server_that_is_slow_to_let_in_is_red(self, place: Place) -> None:
        class Slow(Database):
            def connect(self, **options: Any) -> Any:
                time.sleep(self.settings.connect_timeout_s)
                return place.database.connect(**options)

        assert place.target.database is not None
        settings = place.target.database.model_copy(update={"connect_timeout_s": 0.3})
        seen = place.judge(Timeouts().test_connect_timeout, database=Slow(settings, place.password))
        assert seen.seen == {(Kind.SLOW, "postgres")}


class TestErrors:
    """Each way of not reaching a database has its own error."""

    def test_refused(self, place: Place) -> None:
        with Reservations(["dead"]) as reserved, pytest.raises(ConnectionRefused):
            place.other(port=reserved.ports["dead"]).connect()

    def test_no_name(self, place: Place) -> None:
        with pytest.raises(NameNotResolved):
            place.other(host="no-such-host.invalid").connect()

    def test_a_full_backlog_is_a_connect_time_out(self, place: Place) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            waiting = [socket.socket() for _ in range(4)]
            for each in waiting:
                each.setblocking(False)
                with suppress(BlockingIOError):
                    each.connect(listener.getsockname())
            try:
                with pytest.raises(ConnectTimedOut):
                    place.other(port=listener.getsockname()[1], connect_timeout_s=0.5).connect()
            finally:
                for each in waiting:
                    each.close()

    def test_silence_is_a_read_time_out(self, place: Place) -> None:
        with silent_server() as port, pytest.raises(ReadTimedOut):
            place.other(port=port, connect_timeout_s=0.5).connect()

    @pytest.mark.parametrize(
        ("changes", "password", "error"),
        [
            ({}, "wrong", LoginRefused),
            ({"user": "nobody-here"}, "x", LoginRefused),
            ({"name": "no_such_database"}, None, ProtocolViolated),
        ],
    )
    def test_logins(
        self, place: Place, changes: dict[str, object], password: str | None, error: type[RequestFailed]
    ) -> None:
        secret = None if password is None else SecretStr(password)
        with pytest.raises(error) as raised:
            place.other(secret, **changes).connect()
        assert password is None or password == "x" or password not in str(raised.value)

    def test_a_statement_past_its_time_is_cancelled(self, place: Place) -> None:
        with (
            place.database.session(statement_timeout_s=0.1) as connection,
            pytest.raises(StatementTimedOut),
        ):
            place.database.rows(connection, "select pg_sleep(3)")

    def test_a_server_that_falls_silent_is_given_up(self, place: Place) -> None:
        with (
            place.database.session(statement_timeout_s=30) as connection,
            pytest.raises(ReadTimedOut, match=r"no answer within 0\.3 s"),
        ):
            place.database.rows(connection, "select pg_sleep(3)", limit_s=0.3)

    def test_a_bad_statement_is_no_connection_trouble(self, place: Place) -> None:
        with pytest.raises(ProtocolViolated, match="does not exist"):
            place.database.query("select * from nothing_here")

    def test_a_killed_session_is_a_reset(self, place: Place) -> None:
        from hokusai_validation.errors import ConnectionReset

        with place.database.session() as connection:
            number = place.database.rows(connection, "select pg_backend_pid()")[0][0]
            place.sql(f"select pg_terminate_backend({int(number)})")
            with pytest.raises(ConnectionReset):
                place.database.rows(connection, "select 1")

    def test_without_a_host_rds_is_asked(self) -> None:
        values, empty = {"name": "t", "database": {"password": {"env": "X"}}}, Target(name="t")
        with pytest.raises(TargetInvalid, match=r"neither `database\.host` nor `aws\.rds_instance`"):
            Database.from_target(Target.model_validate(values), Secrets(Target.model_validate(values)))
        with pytest.raises(TargetInvalid, match=r"no \[database\] section"):
            Database.from_target(empty, Secrets(empty))


def test_the_schema_is_that_of_the_installed_mlflow(sandbox: Stack) -> None:
    """What MLflow's own migrations made here is what the snapshot says: renew it with MLflow."""
    target = read_target(str(sandbox.target_file))
    database = Database.from_target(target, Secrets(target))
    seen = judge(Schema().test_tables_and_columns, "postgres", database=database, target=target)
    assert (seen.status, seen.message) == (Status.PASSED, "")
    rows = database.query(
        "select table_name, count(*) from information_schema.columns where table_schema = current_schema() group by 1"
    )
    _, tables = mlflow_schema.whole()
    assert {name: count for name, count in rows if name != "alembic_version"} == {
        name: len(columns) for name, columns in tables.items()
    }
    assert database.query("select version_num from alembic_version") == [(mlflow_schema.whole()[0],)]


def test_another_revision_is_held_to_the_core_by_name() -> None:
    expected = mlflow_schema.expected("an-older-one")
    assert set(expected) == set(mlflow_schema.CORE)
    assert "run_uuid" in expected["runs"]
    assert mlflow_schema.whole()[0] in mlflow_schema.known_revisions()
    assert len(mlflow_schema.known_revisions()) > 30


@contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server that accepts and never answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                accepted.append(listener.accept()[0])

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for each in accepted:
            each.close()
        thread.join(2)
