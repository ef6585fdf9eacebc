"""Changes of a sandbox that is up: each is really there, seen from outside, and gone when it is undone."""

import contextlib
import json
import shutil
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import psycopg2
import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError

from hokusai_sandbox.asking import ask
from hokusai_sandbox.plan import DATABASE, DATABASE_SECRET, INSTANCES
from hokusai_sandbox.stack import Stack
from hokusai_sandbox_tests.aids import Cloud, Sandbox, eventually

pytestmark = pytest.mark.sandbox
TO_INSTANCES = [f"load_balancer->{instance}" for instance in INSTANCES]
LIMIT_S = 60.0


@pytest.fixture(scope="module")
def up(sandbox: Stack) -> Sandbox:
    """The session's stack, healthy."""
    found = Sandbox(sandbox)
    found.control("POST", "/reset")
    found.until_healthy()
    return found


@contextlib.contextmanager
def changed(up: Sandbox, **change: Any) -> Iterator[None]:
    """A change in the block; the stack is healthy again after it."""
    address = up.status["supervisor"]["address"]
    made = ask(up.stack.directory, address, "POST", "/changes", change, timeout_s=LIMIT_S)["id"]
    try:
        yield
    finally:
        ask(up.stack.directory, address, "DELETE", f"/changes/{made}", timeout_s=LIMIT_S)
        assert up.control("GET", "/changes") == []
        up.until_healthy()


def sql(up: Sandbox, statement: str, *, user: str = "mlflow") -> str:
    """What a statement comes to as a user: `ok`, or the code or first line of what was wrong."""
    lines = (up.stack.directory / "secrets.env").read_text().splitlines()
    of_superuser = dict(line.split("=", 1) for line in lines)["HOKUSAI_SANDBOX_POSTGRES_PASSWORD"]
    kept = Cloud(up).secretsmanager.get_secret_value(SecretId=DATABASE_SECRET, VersionStage="AWSCURRENT")
    secret = json.loads(kept["SecretString"])["password"] if user == "mlflow" else of_superuser
    host, _, port = up.status["services"]["postgres"]["address"].rpartition(":")
    try:
        connection = psycopg2.connect(
            host=host,
            port=port,
            dbname=DATABASE,
            user=user,
            password=secret,
            sslmode="disable",
            connect_timeout=5,
        )
    except psycopg2.OperationalError as error:
        return str(error)
    try:
        with connection.cursor() as cursor:
            cursor.execute("set lock_timeout = '200ms'")
            cursor.execute(statement)
        return "ok"
    except psycopg2.Error as error:
        return str(error.pgcode)
    finally:
        connection.rollback()
        connection.close()


WRITE = "insert into experiment_tags (key, value, experiment_id) values ('x', 'x', 0)"


@pytest.mark.parametrize(
    ("change", "statement", "code"),
    [
        (
            {
                "do": "sql",
                "statements": ["ALTER ROLE mlflow SET default_transaction_read_only = on"],
                "undo": ["ALTER ROLE mlflow RESET default_transaction_read_only"],
                "end_sessions": True,
            },
            WRITE,
            "25006",
        ),
        (
            {"do": "session", "user": "postgres", "statements": ["BEGIN", "LOCK TABLE runs"]},
            "select count(*) from runs",
            "55P03",
        ),
        (
            {
                "do": "hba",
                "rules": ["host all postgres all scram-sha-256", "hostssl all mlflow all scram-sha-256"],
            },
            "select 1",
            "no encryption",
        ),
    ],
    ids=lambda value: value["do"] if isinstance(value, dict) else None,
)
def test_the_database_is_changed_and_changed_back(
    up: Sandbox, change: Mapping[str, Any], statement: str, code: str
) -> None:
    with changed(up, **change):
        assert code in sql(up, statement)
        assert sql(up, "select 1", user="postgres") == "ok"
    assert sql(up, statement) == "ok"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"do": "redis_memory", "share": 0.8}, OutOfMemoryError),
        (
            {
                "do": "redis",
                "commands": [["REPLICAOF", "127.0.0.1", "9"]],
                "undo": [["REPLICAOF", "NO", "ONE"]],
            },
            ReadOnlyError,
        ),
    ],
    ids=["full", "replica"],
)
def test_redis_is_changed_and_changed_back(
    up: Sandbox, change: Mapping[str, Any], error: type[RedisError]
) -> None:
    assert up.target.redis is not None
    client = Redis(
        host=up.target.redis.host, port=up.target.redis.port, password=up.secret(up.target.redis.password)
    )
    with client:
        with changed(up, **change), pytest.raises(error):
            client.set("sandbox:test", "x" * 1000)
        assert client.set("sandbox:test", "x", ex=1)


def test_a_process_that_is_killed_stays_away_until_it_is_let_back(up: Sandbox) -> None:
    old = up.process("redis")["pid"]
    with changed(up, do="kill", process="redis"):
        eventually(lambda: up.process("redis")["state"] == "down", what="redis is down")
    assert up.process("redis")["pid"] != old


def test_a_process_is_started_with_other_settings(up: Sandbox) -> None:
    def commit() -> str:
        url = next(item.url for item in up.target.instances if item.name == INSTANCES[-1])
        return str(httpx.get(f"{url}/version", trust_env=False).json()["git_commit"])

    before = commit()
    with changed(up, do="environment", process=INSTANCES[-1], values={"GIT_COMMIT": "0" * 40}):
        assert commit() == "0" * 40
    assert commit() == before


def handshake(up: Sandbox) -> str:
    """`ok`, or what a client that knows the root says of the balancer's certificate."""
    context = ssl.create_default_context(cafile=str(up.target.tls.ca_file))
    host, _, port = up.status["services"]["balancer"]["address"].rpartition(":")
    try:
        with (
            socket.create_connection((host, int(port)), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="registry.hokusai.test"),
        ):
            return "ok"
    except ssl.SSLCertVerificationError as error:
        return error.verify_message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chain": "leaf"}, "unable to get local issuer certificate"),
        ({"chain": "full"}, "ok"),
        ({"days": -1}, "certificate has expired"),
        ({"names": ["elsewhere.test"]}, "Hostname mismatch"),
    ],
    ids=["leaf", "full", "expired", "name"],
)
def test_the_balancer_serves_another_certificate(up: Sandbox, change: Mapping[str, Any], said: str) -> None:
    with changed(up, do="certificate", **change):
        assert said in handshake(up)
    assert handshake(up) == "ok"


def test_a_proxy_between_is_a_real_nginx(up: Sandbox) -> None:
    if shutil.which("nginx") is None:
        pytest.skip(
            "nginx is not installed: what a real proxy does was not shown (apt-get install nginx-light)"
        )
    path, search = "/api/mlflow/api/2.0/mlflow/experiments/search", b'{"max_results": 1}'
    as_json = {"content-type": "application/json"}

    def post(content: bytes) -> httpx.Response:
        with up.client(key=True) as client:
            return client.post(path, content=content, headers=as_json)

    with changed(up, do="nginx", edges=TO_INSTANCES, server="client_max_body_size 1k;"):
        refused = post(b" " * 2_000_000)
        assert (refused.status_code, refused.headers["server"]) == (413, "nginx")
        assert post(search).status_code == 200
    assert post(b" " * 2000 + search).status_code == 200
    assert not [name for name in up.stack.status()["services"] if name.startswith("nginx")]


def test_a_health_check_path_is_taken_up_by_the_balancer(up: Sandbox) -> None:
    cloud = Cloud(up)
    with changed(up, do="aws", state="health_check_path", component="api", path="/healthz"):
        eventually(lambda: set(cloud.health("api")) == {"unhealthy"}, what="the targets are unhealthy")
    eventually(lambda: set(cloud.health("api")) == {"healthy"}, what="the targets are healthy again")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"do": "dance"}, 400),
        ({}, 400),
        ({"do": "link", "edges": ["nobody->redis"], "cut": True}, 400),
        ({"do": "kill", "process": "nobody"}, 400),
        ({"do": "limit", "process": "redis", "resource": "patience", "to": 1}, 400),
        ({"do": "sql", "statements": ["SELECT nonsense"]}, 409),
        ({"do": "redis", "commands": [["NONSENSE"]]}, 409),
        ({"do": "aws", "state": "no_such_state"}, 409),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_with_a_sentence(up: Sandbox, change: Any, status: int) -> None:
    with pytest.raises(ValueError, match=f"answered {status}"):
        up.control("POST", "/changes", change)
    assert up.control("GET", "/changes") == []
