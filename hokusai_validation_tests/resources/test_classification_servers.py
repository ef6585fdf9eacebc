"""Errors provoked from the real libraries and servers, read by the classifier and recorded."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg2
import pytest
import trustme
from pydantic import SecretStr

from hokusai_validation.errors import RequestFailed
from hokusai_validation.observation import ErrorClass, Observation
from hokusai_validation.resources import recording
from hokusai_validation.resources.certificates import look_at
from hokusai_validation.resources.classification import of_answer, of_database
from hokusai_validation.resources.database import Database
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.places import Places
from hokusai_validation.resources.recorder import Recorder
from hokusai_validation.resources.redis import Redis
from hokusai_validation.sections import Database as Settings
from hokusai_validation.sections import SecretRef
from hokusai_validation.target import Tls
from hokusai_validation_tests.resources import servers


@contextmanager
def recorded() -> Iterator[list[Observation]]:
    """What is asked in the block, there when it has ended."""
    seen: list[Observation] = []
    recorder = Recorder(Places())
    with recording.recording(recorder):
        yield seen
    seen += recorder.finished(passed=False)


def last(seen: list[Observation]) -> tuple[ErrorClass | None, str, str]:
    """Class and native code of the newest one."""
    newest = seen[-1]
    assert newest.native is not None
    return newest.error_class, newest.native.system, newest.native.code


@pytest.fixture(scope="module")
def postgres_port() -> Iterator[int]:
    with servers.postgresql() as port:
        yield port


def database(port: int, password: str = servers.MLFLOW, **values: object) -> Database:
    settings = {"host": "127.0.0.1", "port": port, "password": SecretRef(env="UNUSED"), **values}
    return Database(Settings.model_validate(settings), SecretStr(password))


def superuser(port: int, statement: str) -> None:
    """A statement as the server's owner."""
    connection = psycopg2.connect(
        host="127.0.0.1", port=port, user="postgres", password=servers.SUPERUSER, dbname="mlflow_db"
    )
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


LOGINS = [
    ({"password": "wrong"}, ErrorClass.LOGIN_REFUSED, "28P01"),
    ({"user": "nobody_of_that_name"}, ErrorClass.LOGIN_REFUSED, "28P01"),
    ({"name": "no_such_database"}, ErrorClass.NO_SUCH_DATABASE, "3D000"),
    ({"sslmode": "require"}, ErrorClass.TLS_HANDSHAKE, "08001"),
]


@pytest.mark.parametrize(("values", "error_class", "code"), LOGINS)
def test_postgresql_refuses_a_login(
    postgres_port: int, values: dict[str, str], error_class: ErrorClass, code: str
) -> None:
    password = values.pop("password", servers.MLFLOW)
    with recorded() as seen, suppress(RequestFailed):
        database(postgres_port, password, **values).connect()
    assert last(seen) == (error_class, "postgresql", code)
    assert seen[-1].operation == "sql.connect"


STATEMENTS = [
    (
        "set default_transaction_read_only = on; create table t_read_only (a int)",
        ErrorClass.READ_ONLY,
        "25006",
    ),
    ("set statement_timeout = '20ms'; select pg_sleep(5)", ErrorClass.STATEMENT_TIMEOUT, "57014"),
    ("select * from no_such_table", ErrorClass.NO_SUCH_TABLE, "42P01"),
    ("select no_such_column from pg_class", ErrorClass.NO_SUCH_TABLE, "42703"),
    ("select rolpassword from pg_authid", ErrorClass.PERMISSION, "42501"),
    ("select 1 +", ErrorClass.BAD_REQUEST, "42601"),
    ("select 1 / 0", ErrorClass.BAD_REQUEST, "22012"),
]


@pytest.mark.parametrize(("statements", "error_class", "code"), STATEMENTS)
def test_postgresql_refuses_a_statement(
    postgres_port: int, statements: str, error_class: ErrorClass, code: str
) -> None:
    *before, asked = statements.split("; ")
    with recorded() as seen, database(postgres_port).session() as connection:
        for each in before:
            database(postgres_port).rows(connection, each)
        with suppress(RequestFailed):
            database(postgres_port).rows(connection, asked)
    assert last(seen) == (error_class, "postgresql", code)


def test_postgresql_says_who_ends_a_wait(postgres_port: int) -> None:
    """A lock that another holds: by the lock time-out, or by somebody who cancels."""
    mine = database(postgres_port)
    with mine.session() as holder, mine.session() as waiter:
        mine.rows(waiter, "create table if not exists held (a int)")
        holder.autocommit = False
        mine.rows(holder, "lock table held in access exclusive mode")
        mine.rows(waiter, "set lock_timeout = '20ms'")
        with recorded() as seen, suppress(RequestFailed):
            mine.rows(waiter, "select * from held")
        assert last(seen) == (ErrorClass.LOCK_TIMEOUT, "postgresql", "55P03")
        mine.rows(waiter, "set lock_timeout = 0")
        pid = waiter.get_backend_pid()
        waiting = "select 1 from pg_stat_activity where pid = %s and wait_event_type = 'Lock'"

        def cancel() -> None:
            while not mine.query(waiting, (pid,)):
                pass
            mine.query("select pg_cancel_backend(%s)", (pid,))

        helper = threading.Thread(target=cancel)
        helper.start()
        with waiter.cursor() as cursor, pytest.raises(psycopg2.errors.QueryCanceled) as cancelled:
            cursor.execute("select * from held")
        helper.join()
        found = of_database(cancelled.value)
        assert (found.error_class, found.native.code) == (ErrorClass.CANCELLED, "57014")


def test_postgresql_ends_a_session(postgres_port: int) -> None:
    mine = database(postgres_port)
    with recorded() as seen, mine.session() as connection:
        superuser(postgres_port, f"select pg_terminate_backend({connection.get_backend_pid()}, 5000)")
        with suppress(RequestFailed):
            mine.rows(connection, "select 1")
    # libpq gives the server's last word where it reads it before it writes.
    assert last(seen) in (
        (ErrorClass.SHUTTING_DOWN, "postgresql", "57P01"),
        (ErrorClass.RESET, "postgresql", "08006"),
    )


def test_postgresql_has_no_connection_left(postgres_port: int) -> None:
    superuser(postgres_port, "alter role mlflow connection limit 0")
    try:
        with recorded() as seen, suppress(RequestFailed):
            database(postgres_port).connect()
    finally:
        superuser(postgres_port, "alter role mlflow connection limit -1")
    assert last(seen) == (ErrorClass.CONNECTIONS_EXHAUSTED, "postgresql", "53300")


def test_nothing_listens() -> None:
    port = servers.free_port()
    with recorded() as seen:
        for ask in (
            lambda: database(port).connect(),
            lambda: Redis("127.0.0.1", port).ping(),
            lambda: HttpClient(f"http://127.0.0.1:{port}").get("/health"),
            lambda: look_at(f"https://127.0.0.1:{port}"),
        ):
            with pytest.raises(RequestFailed):
                ask()
    assert [each.error_class for each in seen] == [ErrorClass.REFUSED] * 4
    assert {each.native.code for each in seen if each.native} == {"ECONNREFUSED"}


REDIS = [
    (("requirepass secret",), None, ("PING",), ErrorClass.LOGIN_REFUSED, "NOAUTH"),
    (("requirepass secret",), "wrong", ("PING",), ErrorClass.LOGIN_REFUSED, "WRONGPASS"),
    (("maxmemory 1", "maxmemory-policy noeviction"), None, ("SET", "a", "b"), ErrorClass.OUT_OF_MEMORY, "OOM"),
    (("replicaof 127.0.0.1 1",), None, ("SET", "a", "b"), ErrorClass.REPLICA, "READONLY"),
    (("replicaof 127.0.0.1 1", "replica-serve-stale-data no"), None, ("GET", "a"), ErrorClass.REPLICA, "MASTERDOWN"),
    (("min-replicas-to-write 1",), None, ("SET", "a", "b"), ErrorClass.READ_ONLY, "NOREPLICAS"),
    (("user default on nopass +ping",), None, ("GET", "a"), ErrorClass.PERMISSION, "NOPERM"),
    ((), None, ("NO_SUCH_COMMAND",), ErrorClass.BAD_REQUEST, "ResponseError"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "password", "command", "error_class", "code"), REDIS)
def test_redis_refuses(
    settings: tuple[str, ...],
    password: str | None,
    command: tuple[str, ...],
    error_class: ErrorClass,
    code: str,
) -> None:
    with servers.redis(*settings) as port:
        client = Redis("127.0.0.1", port, password=None if password is None else SecretStr(password))
        with recorded() as seen, suppress(RequestFailed):
            client.run(*command)
        client.close()
    assert last(seen) == (error_class, "redis", code)


@contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[int]:
    """A server that shakes hands and closes, until the block ends."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            with plain, suppress(OSError):
                context.wrap_socket(plain, server_side=True).close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def _chain(folder: Path, *, name: str = "127.0.0.1", intermediate: bool = True) -> tuple[ssl.SSLContext, Tls]:
    root = trustme.CA()
    middle = root.create_child_ca()
    leaf = middle.issue_cert(name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown = leaf.cert_chain_pems if intermediate else leaf.cert_chain_pems[:1]
    file = folder / "served.pem"
    file.write_bytes(leaf.private_key_pem.bytes() + b"".join(each.bytes() for each in shown))
    context.load_cert_chain(file)
    root.cert_pem.write_to_path(folder / "ca.pem")
    return context, Tls(ca_file=folder / "ca.pem")


def test_tls_with_its_whole_chain(tmp_path: Path) -> None:
    context, tls = _chain(tmp_path)
    with recorded() as seen, tls_server(context) as port:
        look_at(f"https://127.0.0.1:{port}", tls=tls)
    assert seen[-1].ok


def test_tls_without_the_intermediate(tmp_path: Path) -> None:
    context, tls = _chain(tmp_path, intermediate=False)
    with recorded() as seen, tls_server(context) as port:
        with suppress(RequestFailed):
            look_at(f"https://127.0.0.1:{port}", tls=tls)
        with suppress(RequestFailed):
            HttpClient(f"https://127.0.0.1:{port}", tls=tls).get("/")
    assert [(each.error_class, each.native and each.native.code) for each in seen] == [
        (ErrorClass.TLS_CHAIN_INCOMPLETE, "20")
    ] * 2


def test_tls_of_a_foreign_root(tmp_path: Path) -> None:
    """Its root is served along: nobody forgot anything, it is not trusted."""
    context, _ = _chain(tmp_path)
    other = trustme.CA()
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    with recorded() as seen, tls_server(context) as port, suppress(RequestFailed):
        look_at(f"https://127.0.0.1:{port}", tls=Tls(ca_file=tmp_path / "other.pem"))
    assert seen[-1].error_class in (ErrorClass.TLS_CHAIN_INCOMPLETE, ErrorClass.TLS_UNTRUSTED)


def test_tls_of_another_name(tmp_path: Path) -> None:
    context, tls = _chain(tmp_path, name="other.example.org")
    with recorded() as seen, tls_server(context) as port, suppress(RequestFailed):
        look_at(f"https://127.0.0.1:{port}", tls=tls)
    assert seen[-1].error_class is ErrorClass.TLS_NAME


def test_plain_where_tls_is_expected() -> None:
    """A server that says something else, and one that waits for more."""
    with servers.redis() as port, recorded() as seen, suppress(RequestFailed):
        HttpClient(f"https://127.0.0.1:{port}").get("/", timeout_s=0.5)
    assert seen[-1].error_class is ErrorClass.READ_TIMEOUT
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            plain, _ = listening.accept()
            with plain:
                plain.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                plain.recv(65536)

        helper = threading.Thread(target=serve)
        helper.start()
        with recorded() as seen, suppress(RequestFailed):
            HttpClient(f"https://127.0.0.1:{listening.getsockname()[1]}").get("/")
        helper.join()
    assert seen[-1].error_class is ErrorClass.TLS_HANDSHAKE


def test_mlflows_host_check(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient
    from mlflow.server.fastapi_security import init_fastapi_security

    monkeypatch.setenv("MLFLOW_SERVER_ALLOWED_HOSTS", "mlflow.internal")
    app = FastAPI()
    init_fastapi_security(app)
    answer = TestClient(app, base_url="http://10.1.2.3:5000").get("/api/2.0/mlflow/experiments/search")
    read = of_answer(answer.status_code, dict(answer.headers), answer.content)
    assert read.error is not None
    assert (read.author, read.error.error_class) == ("mlflow", ErrorClass.HOST_REFUSED)


def test_mlflows_own_error() -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

    error = MlflowException("No Experiment with id=7 exists", RESOURCE_DOES_NOT_EXIST)
    body = json.dumps({"error_code": error.error_code, "message": error.message})
    read = of_answer(404, {}, body.encode())
    assert read.error is not None
    assert (read.author, read.error.error_class, read.error.native.code) == (
        "mlflow",
        ErrorClass.NOT_FOUND,
        "RESOURCE_DOES_NOT_EXIST",
    )


def test_s3_of_a_stand_in() -> None:
    """moto's S3: its answers to botocore, and its page to a plain client."""
    import boto3
    from botocore.exceptions import ClientError

    from hokusai_validation.resources.classification import of_aws
    from hokusai_validation_tests.moto_server import serving_aws

    with serving_aws() as url:
        client = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        with pytest.raises(ClientError) as raised:
            client.get_object(Bucket="no-such-bucket-here", Key="a")
        found = of_aws(raised.value)
        assert (found.error_class, found.native.system) == (ErrorClass.NO_SUCH_BUCKET, "s3")
        with recorded() as seen:
            HttpClient(url).get("/no-such-bucket-here/a")
    assert last(seen) == (ErrorClass.NO_SUCH_BUCKET, "s3", "NoSuchBucket")
