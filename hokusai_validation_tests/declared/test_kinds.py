"""Each kind of check against a real server: what it takes, what it refuses, and that it changes nothing."""

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from hokusai_validation.errors import (
    ConnectionRefused,
    ExpectationUnmet,
    NotPermitted,
    RequestFailed,
    StatementTimedOut,
    TargetInvalid,
    TlsFailed,
)
from hokusai_validation.observation import Observation
from hokusai_validation.permission import Gate
from hokusai_validation.probes.declared import Asker
from hokusai_validation.resources.database import Database as Connections
from hokusai_validation.resources.places import Places
from hokusai_validation.resources.recorder import Recorder
from hokusai_validation.resources.recording import recording
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import Status
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.runner.outcome import status_of
from hokusai_validation.sections import Database
from hokusai_validation.target import Target
from hokusai_validation_tests.declared.services import shop
from hokusai_validation_tests.resources import servers

PERMITTED = {"hosts": ["127.0.0.1", "localhost", "no-such-name.invalid"]}


@pytest.fixture(scope="module")
def postgres() -> Iterator[int]:
    with servers.postgresql() as port:
        yield port


@pytest.fixture(scope="module")
def redis() -> Iterator[int]:
    with servers.redis() as port:
        yield port


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECLARED_PASSWORD", servers.MLFLOW)


def ask(check: dict[str, Any], **parts: Any) -> Sequence[Observation]:
    """One check of a part of the target's own; what it recorded.

    Raises what the check does."""
    target = Target.model_validate(
        {
            "name": "t",
            "catalogue": False,
            "topology": {"orders": {"depends_on": ["store"]}, "store": {}},
            "permissions": PERMITTED,
            "checks": [{"name": "it", "component": "orders", "timeout_s": 2, **check}],
            **parts,
        }
    )
    recorder = Recorder(Places(target))
    with recording(recorder):
        Asker(target, Gate(target), Secrets(target), Evidence(target)).ask(target.checks[0])
    return recorder.finished(passed=True)


def sql(port: int, statement: str, **expect: Any) -> Sequence[Observation]:
    database = {"host": "127.0.0.1", "port": port, "password": {"env": "DECLARED_PASSWORD"}}
    return ask({"kind": "sql", "statement": statement, "database": database, "expect": expect})


def test_sql_is_held_to_rows_and_value(postgres: int) -> None:
    seen = sql(postgres, "select generate_series(1, 5)", rows=5, value=1)
    assert {each.dialled for each in seen} == {"orders"}
    assert any(edge.to == "store" for edge in seen[0].path)
    sql(postgres, "select 'up' where true", rows={"min": 1}, value="up")
    with pytest.raises(ExpectationUnmet, match="number of rows is 5, expected at most 3"):
        sql(postgres, "select generate_series(1, 5)", rows={"max": 3})
    with pytest.raises(ExpectationUnmet, match="first value is missing"):
        sql(postgres, "select 1 where false", value=1)


def test_sql_is_read_to_a_hundred_rows(postgres: int) -> None:
    sql(postgres, "select generate_series(1, 1000000000)", rows=100)


@pytest.mark.parametrize(
    "statement",
    [
        "select lo_create(0)",
        "select nextval('seq')",
        "with made as (insert into kept values (1) returning 1) select * from made",
        "select set_config('transaction_read_only', 'off', false), lo_create(0)",
        "select 1 into made",
    ],
)
def test_sql_changes_nothing(postgres: int, statement: str) -> None:
    settings = Database.model_validate(
        {"host": "127.0.0.1", "port": postgres, "password": {"env": "DECLARED_PASSWORD"}}
    )
    owner = Connections(settings, SecretStr(servers.MLFLOW))
    owner.query("create table if not exists kept (n int)")
    owner.query("create sequence if not exists seq")
    with pytest.raises(TargetInvalid, match=r"read-only|read-write|DECLARE CURSOR|not allowed here"):
        sql(postgres, statement)
    assert owner.query("select count(*) from kept") == [(0,)]
    assert owner.query("select is_called from seq") == [(False,)]


@pytest.mark.parametrize(
    ("statement", "raised"),
    [
        ("select from where", TargetInvalid),
        ("select 1 +", TargetInvalid),
        ("select 'a'::int", TargetInvalid),
        ("select * from not_there", RequestFailed),
        ("select gone from pg_class", RequestFailed),
    ],
)
def test_a_statement_with_a_defect_is_the_checks_own_and_a_missing_table_the_targets(
    postgres: int, statement: str, raised: type[Exception]
) -> None:
    with pytest.raises(raised) as told:
        sql(postgres, statement)
    broken = status_of(told.value) is Status.BROKEN
    assert broken is (raised is TargetInvalid)
    assert ("Check 'it' can't be asked" in str(told.value)) is broken


def test_sql_ends_at_its_time_out(postgres: int) -> None:
    with pytest.raises(StatementTimedOut):
        sql(postgres, "select pg_sleep(30)")


@pytest.mark.parametrize(
    "statement", ["select 1; drop table x", "drop table x", "copy x to '/tmp/x'", "/**/"]
)
def test_what_is_no_single_query_is_refused(statement: str) -> None:
    with pytest.raises(ValueError, match="statement"):
        sql(1, statement)


def test_redis_is_held_to_its_value(redis: int) -> None:
    of = {"host": "127.0.0.1", "port": redis}
    seen = ask({"kind": "redis", "redis": of, "expect": {"value": True}})
    assert {each.dialled for each in seen} == {"orders"}
    ask({"kind": "redis", "command": ["LLEN", "q"], "redis": of, "expect": {"value": {"max": 3}}})
    with pytest.raises(ExpectationUnmet, match="value is missing, expected 'x'"):
        ask({"kind": "redis", "command": ["GET", "none"], "redis": of, "expect": {"value": "x"}})


@pytest.mark.parametrize("command", ["SET", "FLUSHALL", "EVAL", "CONFIG", "SHUTDOWN"])
def test_redis_only_reads(command: str) -> None:
    with pytest.raises(ValueError, match="command"):
        ask({"kind": "redis", "command": [command, "x"], "redis": {"host": "127.0.0.1"}})


def test_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        seen = ask({"kind": "tcp", "host": "127.0.0.1", "port": listening.getsockname()[1]})
    assert [(each.operation, each.ok) for each in seen] == [("tcp.connect", True)]
    with pytest.raises(ConnectionRefused):
        ask({"kind": "tcp", "host": "127.0.0.1", "port": servers.free_port()})


def test_dns() -> None:
    ask({"kind": "dns", "host": "localhost", "expect": {"addresses": ["127.0.0.1"]}})
    with pytest.raises(ExpectationUnmet, match=r"10\.0\.0\.1 is not among"):
        ask({"kind": "dns", "host": "localhost", "expect": {"addresses": ["10.0.0.1"]}})
    with pytest.raises(RequestFailed):
        ask({"kind": "dns", "host": "no-such-name.invalid"})


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_handshakes, args=(listening, context, 3))
        thread.start()
        url = f"https://localhost:{listening.getsockname()[1]}"
        tls = {"ca_file": str(tmp_path / "ca.pem")}
        ask({"kind": "tls", "url": url, "expect": {"days": 1}}, tls=tls)
        with pytest.raises(ExpectationUnmet, match="expires in"):
            ask({"kind": "tls", "url": url, "expect": {"days": 900_000}}, tls=tls)
        with pytest.raises(TlsFailed):
            ask({"kind": "tls", "url": url})
        thread.join()


def _handshakes(listening: socket.socket, context: ssl.SSLContext, count: int) -> None:
    for _ in range(count):
        plain, _ = listening.accept()
        with plain:
            try:
                context.wrap_socket(plain, server_side=True).close()
            except (ssl.SSLError, OSError):
                continue


def test_http_is_held_to_fields_headers_and_latency() -> None:
    with shop() as services:
        url = f"http://127.0.0.1:{services[0].port}/"
        ask(
            {
                "kind": "http",
                "url": url,
                "method": "HEAD",
                "expect": {"headers": {"content-length": {"min": 1}}},
            }
        )
        with pytest.raises(ExpectationUnmet, match=r"`parts\.0\.n` is 3, expected 4; `gone` is missing"):
            ask({"kind": "http", "url": url, "expect": {"fields": {"parts.0.n": 4, "gone": True}}})
        with pytest.raises(ExpectationUnmet, match="answered 200, expected 201 or 202"):
            ask({"kind": "http", "url": url, "expect": {"status": [201, 202]}})
        with pytest.raises(ExpectationUnmet, match=r"expected 0\.1 ms at most"):
            ask({"kind": "http", "url": url, "expect": {"latency_ms": 0.1}})


def test_a_host_that_is_not_permitted_is_refused_by_the_file_and_by_the_gate() -> None:
    with pytest.raises(ValueError, match=r"checks\.0.*permissions\.hosts"):
        ask({"kind": "http", "url": "http://169.254.169.254/latest"})
    with pytest.raises(NotPermitted):
        Gate(Target(name="t")).host("169.254.169.254")
