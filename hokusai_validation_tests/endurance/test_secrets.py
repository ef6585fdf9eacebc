"""Canaries: a run in which everything fails and the target says our own secrets back to us. No
file, log, database, report, Dagster event or command line has them."""

import socket
from collections.abc import Iterator, Mapping

import pytest

from hokusai_validation_tests.endurance.light import KEY_VARIABLE
from hokusai_validation_tests.suite_beyond.stub import Reply, serving
from hokusai_validation_tests.whole.running import WholeRun, files_with, run_whole

KEY = "hk_live_canary_7f3a91c2d4e8"
PASSWORD = "canary-p@ss/word:5c1e-9b"
REDIS = "canary+redis=22d7 f09a"
TOKEN = "canary.token.81ab44"
ENVIRONMENT = {
    KEY_VARIABLE: KEY,
    "LIGHT_DATABASE_PASSWORD": PASSWORD,
    "LIGHT_REDIS_PASSWORD": REDIS,
    "LIGHT_TOKEN": TOKEN,
}
CANARIES = {name: value.encode() for name, value in ENVIRONMENT.items()}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeRun]:
    base = tmp_path_factory.mktemp("canaries")
    with serving() as stub, socket.create_server(("127.0.0.1", 0)) as closed:
        closed_port = closed.getsockname()[1]
        closed.close()  # refused from now on

        def echo(path: str, headers: Mapping[str, str]) -> Reply:
            dsn = f"postgresql://mlflow:{PASSWORD}@127.0.0.1:{closed_port}/mlflow_db"
            said = (
                f"{path}: connection to {dsn} refused; {headers.get('authorization')} {KEY} {REDIS} {TOKEN}"
            )
            return Reply(500, {"detail": said, "error": said, "status": KEY}, {"x-seen": KEY})

        stub.replies = dict.fromkeys(stub.replies, echo)
        path = base / "light.toml"
        path.write_text(
            f"""name = "light"
[endpoints]
registry = "{stub.url}"
[keys]
good = {{ env = "{KEY_VARIABLE}" }}
[auth]
url = "{stub.url}"
[mlflow]
url = "{stub.url}"
[database]
host = "127.0.0.1"
port = {closed_port}
password = {{ env = "LIGHT_DATABASE_PASSWORD" }}
[redis]
host = "127.0.0.1"
port = {closed_port}
password = {{ env = "LIGHT_REDIS_PASSWORD" }}
[control]
url = "{stub.url}"
token = {{ env = "LIGHT_TOKEN" }}
[limits]
request_s = 2.0
""",
            encoding="utf-8",
        )
        (base / "temporary").mkdir()
        more = {**ENVIRONMENT, "TMPDIR": str(base / "temporary")}
        yield run_whole(base, path, "--json", more=more)


def test_the_run_failed_and_kept_what_the_target_said(ran: WholeRun) -> None:
    """Else the others would show nothing."""
    failed = [row for row in ran.report["results"] if row["status"] == "failed"]
    assert len(failed) > 20
    assert any("connection to" in str(row["evidence"]) + row["message"] for row in failed)


def test_no_canary_is_written_anywhere(ran: WholeRun) -> None:
    assert list(ran.dagster_home.rglob("*.db"))  # the events are among what is searched
    assert files_with((ran.results.parent,), CANARIES) == []  # the temporary folder too


def test_no_canary_is_printed_or_stands_on_a_command_line(ran: WholeRun) -> None:
    said = (ran.stdout + ran.stderr + "\n".join(ran.command_lines)).encode()
    assert [name for name, value in CANARIES.items() if value in said] == []
    assert any("run_test_suite" in line for line in ran.command_lines)
