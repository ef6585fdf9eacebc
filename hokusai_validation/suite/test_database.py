"""MLflow's database: who may come in, the pool, time-outs, schema, permissions."""

import json
import time
from contextlib import ExitStack, suppress

import pytest
from pydantic import SecretStr

from hokusai_validation.errors import (
    AwsNotFound,
    LoginRefused,
    RequestFailed,
    StatementTimedOut,
)
from hokusai_validation.facts import FactKind
from hokusai_validation.observation import ErrorClass
from hokusai_validation.probes import mlflow_schema
from hokusai_validation.probes.contract.check import expect
from hokusai_validation.probes.instances import ApiInstance
from hokusai_validation.resources import recording
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.database import Database
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

NEEDED = ("SELECT", "INSERT", "UPDATE", "DELETE")
IDLE_IN_TRANSACTION_S = 300
LEAK_QUESTIONS = 4
CONNECTIONS = 5


class TestDatabaseLogin:
    """The target's user and only it, with the password that Secrets Manager has now."""

    def test_connects_as_mlflow(self, target: Target, database: Database, evidence: Evidence) -> None:
        """The configured login works, and is the target's user at MLflow's database."""
        assert target.database is not None
        user, name = database.query("select current_user, current_database()")[0]
        evidence.record("session", {"user": user, "database": name})
        assert (user, name) == (target.database.user, target.database.name), (
            f"Connected as {user} to {name}, not as {target.database.user} to {target.database.name}."
        )

    def test_only_mlflow_is_connected(self, target: Target, database: Database, evidence: Evidence) -> None:
        """MLflow's database is used as its user: where only others hold sessions, the service is
        configured with a wrong one. Others beside it are nobody's fault: an agent that watches, a
        person."""
        assert target.database is not None
        rows = database.query(
            "select usename, count(*) from pg_stat_activity where datname = %s and usename is not null"
            " and pid <> pg_backend_pid() group by 1",
            [target.database.name],
        )
        users = {str(user): int(count) for user, count in rows}
        evidence.record("sessions by user", users)
        others = {
            user: count for user, count in users.items() if user not in (target.database.user, "rdsadmin")
        }
        expect(
            not others or target.database.user in users,
            f"Nobody but others than {target.database.user} holds sessions at database"
            f" {target.database.name}: {', '.join(f'{user} ({count})' for user, count in others.items())}.",
            evidence,
            FactKind.WRONG_DATABASE_USER,
            Role.DATABASE,
        )

    def test_secret_opens_database(
        self, target: Target, aws: Aws, database: Database, evidence: Evidence
    ) -> None:
        """User and password as Secrets Manager has them now open the database."""
        assert target.aws is not None
        assert target.database is not None
        secret_id = target.aws.database_secret or ""
        expected = target.database.user
        user, password = _login(aws.data.secret_value(secret_id), expected)
        state = aws.data.secret_state(secret_id)
        evidence.record("secret", {"version": state.current.id if state.current else None, "user": user})
        expect(
            user == expected,
            f"Secret {secret_id} names database user {user!r}, not {expected!r}.",
            evidence,
            FactKind.WRONG_DATABASE_USER,
            Role.SECRETS,
        )
        try:
            database.query("select 1", user=user, password=password)
        except LoginRefused as error:
            which = _older_version_that_works(aws, secret_id, database)
            evidence.fact(FactKind.PASSWORD_REFUSED, Role.DATABASE, str(error), via=Role.SECRETS)
            if which is not None:
                evidence.fact(
                    FactKind.SECRET_NEWER_THAN_TASKS,
                    Role.SECRETS,
                    f"the database still takes version {which}",
                )
                pytest.fail(
                    f"The password in secret {secret_id} is refused, the one before it still works: the"
                    " secret was changed, the database's password was not."
                )
            raise

    def test_wrong_password_refused(self, database: Database, evidence: Evidence) -> None:
        """A wrong password is refused."""
        try:
            with recording.provoked(ErrorClass.LOGIN_REFUSED):
                database.query("select 1", password=SecretStr("not-the-password"))
        except LoginRefused as error:
            evidence.record("refusal", str(error))
            return
        evidence.fact(FactKind.BAD_KEY_ACCEPTED, Role.DATABASE, "a wrong password opened the database")
        pytest.fail("The database was opened with a wrong password: its pg_hba.conf trusts everybody.")

    def test_older_secret_told_apart(
        self, target: Target, aws: Aws, database: Database, evidence: Evidence
    ) -> None:
        """Where an older version of the secret has another password, the database refuses it."""
        assert target.aws is not None
        secret_id = target.aws.database_secret or ""
        try:
            previous = aws.data.secret_value(secret_id, "AWSPREVIOUS")
        except AwsNotFound:
            pytest.skip("the secret has no older version")
        own = database.settings.user
        (_, now), (user, before) = _login(aws.data.secret_value(secret_id), own), _login(previous, own)
        if now.get_secret_value() == before.get_secret_value():
            pytest.skip("the older version of the secret has the same password")
        try:
            database.query("select 1", user=user, password=before)
        except LoginRefused:
            return
        evidence.fact(
            FactKind.SECRET_NEWER_THAN_TASKS,
            Role.SECRETS,
            "the database still takes the secret's older version",
        )
        pytest.fail(f"The database still takes the older password of secret {secret_id}.")


def _login(secret: SecretStr, user: str) -> tuple[str, SecretStr]:
    """User and password of a secret's JSON; a bare text is the password of `user`."""
    try:
        values = json.loads(secret.get_secret_value())
    except ValueError:
        return user, secret
    if not isinstance(values, dict):
        return user, secret
    named = values.get("username", values.get("user", user))
    return str(named), SecretStr(str(values.get("password", "")))


def _older_version_that_works(aws: Aws, secret_id: str, database: Database) -> str | None:
    with suppress(AwsNotFound, RequestFailed):
        user, password = _login(aws.data.secret_value(secret_id, "AWSPREVIOUS"), database.settings.user)
        database.query("select 1", user=user, password=password)
        return "AWSPREVIOUS"
    return None


class TestPool:
    """A pool of the size that MLflow keeps."""

    def test_fills_and_times_out(self, target: Target, database: Database, evidence: Evidence) -> None:
        """As many sessions as the pool has are granted at the same time, and every one of them answers;
        when they were given back, the next one is."""
        assert target.database is not None
        size = target.database.pool_size
        started = time.monotonic()
        with ExitStack() as held:
            connections = [held.enter_context(database.session()) for _ in range(size)]
            sessions = {database.rows(each, "select pg_backend_pid()")[0][0] for each in connections}
            evidence.metric("pool_filled_s", time.monotonic() - started)
            expect(
                len(sessions) == size,
                f"The server gave {len(sessions)} sessions of {size} that were open at the same time.",
                evidence,
                FactKind.POOL_EXHAUSTED,
                Role.DATABASE,
            )
        database.query("select 1")

    def test_released_connection_is_reused(self, database: Database, evidence: Evidence) -> None:
        """A released connection is the one that comes next: the server sees the same session."""
        pool = database.pool(1, 1.0)
        sessions = []
        try:
            for _ in range(3):
                connection = pool.connect()
                cursor = connection.cursor()
                cursor.execute("select pg_backend_pid()")
                sessions.append(cursor.fetchone())
                cursor.close()
                connection.close()
        finally:
            pool.dispose()
        evidence.record("sessions", [str(each) for each in sessions])
        expect(
            len(set(sessions)) == 1,
            f"Three uses of one pooled connection were {len(set(sessions))} sessions at the server.",
            evidence,
            FactKind.CONNECTION_LEAK,
            Role.DATABASE,
        )

    def test_connections_are_not_leaked(
        self,
        target: Target,
        database: Database,
        instances: tuple[ApiInstance, ...],
        evidence: Evidence,
    ) -> None:
        """No session of the services stays idle inside a transaction, and no instance that tells of
        its pool holds more connections with every question."""
        assert target.database is not None
        for instance in instances:
            held = [_held(instance) for _ in range(LEAK_QUESTIONS)]
            evidence.record(f"connections held by {instance.name}", held)
            known = [each for each in held if each is not None]
            expect(
                len(known) < LEAK_QUESTIONS or known[-1] - known[0] < LEAK_QUESTIONS - 1,
                f"{instance.name} holds {known[-1:]} pooled connections after {LEAK_QUESTIONS} questions,"
                f" {known[:1]} after the first.",
                evidence,
                FactKind.CONNECTION_LEAK,
                Role.API_GATEWAY,
                via=instance.name,
            )
        rows = database.query(
            "select application_name, extract(epoch from now() - state_change)::float from pg_stat_activity"
            " where datname = %s and state like 'idle in transaction%%'",
            [target.database.name],
        )
        waiting = [
            (str(name), float(seconds)) for name, seconds in rows if float(seconds) > IDLE_IN_TRANSACTION_S
        ]
        used, limit = database.query(
            "select (select count(*) from pg_stat_activity where datname = current_database()),"
            " current_setting('max_connections')::int"
        )[0]
        evidence.metric("database_sessions", used)
        evidence.metric("database_sessions_allowed", limit)
        expect(
            not waiting,
            f"{len(waiting)} sessions are idle in a transaction for more than {IDLE_IN_TRANSACTION_S} s:"
            f" {', '.join(f'{name} {seconds:.0f} s' for name, seconds in waiting[:5])}.",
            evidence,
            FactKind.CONNECTION_LEAK,
            Role.DATABASE,
        )


def _held(instance: ApiInstance) -> int | None:
    """Pooled connections in use, as an instance's detailed health tells; None where it does not."""
    answer = instance.client.get("/health?detailed=true")
    content = answer.json() if answer.status == 200 else {}
    pool = (content.get("postgres_details") or {}).get("pool") if isinstance(content, dict) else None
    in_use = pool.get("in_use") if isinstance(pool, dict) else None
    return in_use if isinstance(in_use, int) else None


class TestTimeouts:
    """Waiting ends."""

    def test_statement_timeout(self, database: Database, evidence: Evidence) -> None:
        """The server cancels a statement at the session's time-out, and the session goes on."""
        with database.session(statement_timeout_s=0.3) as connection:
            started = time.monotonic()
            with recording.provoked(ErrorClass.STATEMENT_TIMEOUT), pytest.raises(StatementTimedOut):
                database.rows(connection, "select pg_sleep(5)", limit_s=4)
            took_s = time.monotonic() - started
            evidence.metric("cancelled_after_s", took_s)
            assert 0.25 <= took_s < 2.0, f"A statement with 0.3 s was cancelled after {took_s:.2f} s."
            assert database.rows(connection, "select 1") == [(1,)]

    def test_connect_timeout(self, database: Database, evidence: Evidence) -> None:
        """The server lets every new session in within the connect time-out of its users."""
        limit_s = database.settings.connect_timeout_s
        times_s = []
        for _ in range(CONNECTIONS):
            started = time.monotonic()
            database.connect().close()
            times_s.append(time.monotonic() - started)
        evidence.metric("slowest_login_s", max(times_s))
        expect(
            max(times_s) < limit_s,
            f"A new session took {max(times_s):.2f} s, its users give up after {limit_s:g} s.",
            evidence,
            FactKind.SLOW,
            Role.DATABASE,
        )


class TestSchema:
    """Tables as MLflow's migrations make them."""

    def test_revision_is_known(self, target: Target, database: Database, evidence: Evidence) -> None:
        """The alembic revision is the expected one, or one that MLflow has a migration for."""
        revision = _revision(database, evidence)
        wanted = target.mlflow.expected_alembic_revision if target.mlflow is not None else None
        if wanted is not None:
            good, why = revision == wanted, f"expected is {wanted}"
        else:
            good, why = revision in mlflow_schema.known_revisions(), "MLflow has no such migration"
        expect(
            good,
            f"The database's alembic revision is {revision}; {why}.",
            evidence,
            FactKind.SCHEMA_DIFFERS,
            Role.DATABASE,
        )

    def test_tables_and_columns(self, database: Database, evidence: Evidence) -> None:
        """Every table has the columns that it has at its revision."""
        revision = _revision(database, evidence)
        wanted = mlflow_schema.expected(revision)
        typed = revision == mlflow_schema.whole()[0]
        seen: dict[str, list[str]] = {}
        for table, column, kind, nullable in database.query(
            "select table_name, column_name, data_type, is_nullable from information_schema.columns"
            " where table_schema = current_schema() order by table_name, ordinal_position"
        ):
            text = f"{column} {kind}{'' if nullable == 'YES' else ' not null'}" if typed else str(column)
            seen.setdefault(str(table), []).append(text)
        tables = {name: tuple(columns) for name, columns in seen.items()}
        lacking = mlflow_schema.missing(wanted, tables)
        evidence.record("tables", {"expected": len(wanted), "seen": len(tables), "lacking": lacking})
        for table, columns in lacking.items():
            evidence.fact(FactKind.SCHEMA_DIFFERS, Role.DATABASE, f"{table} lacks {', '.join(columns)}")
        assert not lacking, "The schema is not as MLflow makes it: " + "; ".join(
            f"{table} lacks {', '.join(columns[:5])}" for table, columns in [*lacking.items()][:10]
        )


def _revision(database: Database, evidence: Evidence) -> str:
    there = database.query("select to_regclass('alembic_version') is not null")[0][0]
    expect(
        there,
        "The database has no table alembic_version: MLflow never set it up.",
        evidence,
        FactKind.SCHEMA_DIFFERS,
        Role.DATABASE,
    )
    rows = database.query("select version_num from alembic_version")
    evidence.record("revision", [str(row[0]) for row in rows])
    expect(
        len(rows) == 1,
        f"alembic_version has {len(rows)} rows, must have one.",
        evidence,
        FactKind.SCHEMA_DIFFERS,
        Role.DATABASE,
    )
    return str(rows[0][0])


class TestPermissions:
    """What the user may do, and what it may not."""

    def test_may_do_what_mlflow_needs(self, database: Database, evidence: Evidence) -> None:
        """Read and change every table, use every sequence, and create tables (migrations)."""
        rows = database.query(
            "select c.relname, p.name from pg_class c join pg_namespace n on n.oid = c.relnamespace,"
            " unnest(%s) as p(name) where n.nspname = current_schema() and c.relkind in ('r', 'p')"
            " and not has_table_privilege(c.oid, p.name)"
            " union all select c.relname, 'USAGE' from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = current_schema()"
            # In a `case`, so that nothing but a sequence is ever asked about.
            " and case when c.relkind = 'S' then not has_sequence_privilege(c.oid, 'USAGE') else false end"
            " union all select current_schema(), 'CREATE'"
            " where not has_schema_privilege(current_schema(), 'CREATE') order by 1, 2",
            [list(NEEDED)],
        )
        missing = [f"{privilege} on {name}" for name, privilege in rows]
        evidence.record("missing", missing)
        expect(
            not missing,
            f"The database user may not do what MLflow needs: {', '.join(missing[:10])}"
            f"{f' and {len(missing) - 10} more' if len(missing) > 10 else ''}.",
            evidence,
            FactKind.PERMISSION_MISSING,
            Role.DATABASE,
        )

    def test_is_no_superuser(self, database: Database, evidence: Evidence) -> None:
        """The user is no superuser, and may neither make roles nor pass row security."""
        row = database.query(
            "select rolsuper, rolcreaterole, rolreplication, rolbypassrls from pg_roles where rolname = current_user"
        )[0]
        rights = dict(
            zip(("superuser", "createrole", "replication", "bypassrls"), map(bool, row), strict=True)
        )
        evidence.record("rights", rights)
        held = [name for name, has in rights.items() if has]
        expect(
            not held,
            f"The database user {database.settings.user} has more rights than it needs: {', '.join(held)}.",
            evidence,
            FactKind.SUPERUSER,
            Role.DATABASE,
        )
