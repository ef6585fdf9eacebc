"""Redis itself, real: each way of not reaching it has its own error, each wrong answer is red."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from hokusai_sandbox.ports import Reservations
from hokusai_validation.descent import die_with_parent
from hokusai_validation.errors import ConnectionRefused, LoginRefused, ReadTimedOut, TargetInvalid
from hokusai_validation.facts import FactKind as Kind
from hokusai_validation.resources.redis import Redis
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import Status
from hokusai_validation.suite.test_infrastructure import TestRedis as Checks
from hokusai_validation.target import Target
from hokusai_validation_tests.judging import judge

PASSWORD = SecretStr("of-this-test")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A Redis server with a password."""
    program = Path(sys.executable).parent / "redis-server"
    with Reservations(["redis"]) as reserved:
        number = reserved.ports["redis"]
        settings = f'port {number}\nbind 127.0.0.1\nsave ""\nappendonly no\nrequirepass {PASSWORD.get_secret_value()}\n'
        process = subprocess.Popen(
            [str(program), "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        assert process.stdin is not None
        process.stdin.write(settings.encode())
        process.stdin.close()
        try:
            yield _ready(number)
        finally:
            process.kill()
            process.wait(5)


def _ready(number: int) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            Redis("127.0.0.1", number, password=PASSWORD).ping()
        except ConnectionRefused:
            time.sleep(0.02)
            continue
        return number
    raise AssertionError("redis-server did not start")


def target(**changes: object) -> Target:
    return Target.model_validate({"name": "t"} | changes)


def test_a_good_redis_passes(port: int) -> None:
    redis = Redis("127.0.0.1", port, password=PASSWORD)
    for check in (Checks().test_ping, Checks().test_write_and_read_back, Checks().test_latency):
        seen = judge(check, "redis", target=target(), redis=redis)
        assert (seen.status, seen.message, seen.facts) == (Status.PASSED, "", ())
    assert redis.run("KEYS", "hokusai-validation:*") == []
    redis.close()


def test_nothing_is_written_where_it_is_not_permitted(port: int) -> None:
    redis = Redis("127.0.0.1", port, password=PASSWORD)
    seen = judge(Checks().test_write_and_read_back, target=target(permissions={"write": False}), redis=redis)
    assert seen.status is Status.SKIPPED


def test_a_wrong_password(port: int) -> None:
    for password in (SecretStr("wrong"), None):
        seen = judge(Checks().test_ping, "redis", redis=Redis("127.0.0.1", port, password=password))
        assert seen.seen == {(Kind.PASSWORD_REFUSED, "redis")}
        assert "wrong" not in seen.message
        with pytest.raises(LoginRefused):
            Redis("127.0.0.1", port, password=password).ping()


def test_a_dead_one() -> None:
    with Reservations(["dead"]) as reserved:
        seen = judge(Checks().test_ping, "redis", redis=Redis("127.0.0.1", reserved.ports["dead"]))
    assert (seen.status, seen.seen) == (Status.FAILED, {(Kind.REFUSED, "redis")})


def test_a_name_without_address() -> None:
    seen = judge(Checks().test_ping, "redis", redis=Redis("no-such-host.invalid"))
    assert seen.seen == {(Kind.NAME_NOT_RESOLVED, "redis")}


def test_a_hanging_one(port: int) -> None:
    redis = Redis("127.0.0.1", port, password=PASSWORD, answer_timeout_s=0.2)
    redis.ping()
    pid = int(redis.info()["process_id"])
    import os

    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ReadTimedOut, match=r"no answer within 0\.2 s"):
            redis.ping()
        seen = judge(Checks().test_ping, "redis", redis=redis)
        assert seen.seen == {(Kind.READ_TIMED_OUT, "redis")}
    finally:
        os.kill(pid, signal.SIGCONT)


class Wrong(Redis):
    """A Redis that gets something wrong."""

    wrong = ""

    def get(self, key: str) -> str | None:
        return None if self.wrong == "forgets" else super().get(key)

    def ttl_s(self, key: str) -> int:
        return -1 if self.wrong == "keeps for ever" else super().ttl_s(key)

    def ping(self) -> bool:
        if self.wrong == "slow":
            time.sleep(0.11)
        return super().ping()


@pytest.mark.parametrize(
    ("wrong", "check", "says"),
    [
        ("forgets", Checks().test_write_and_read_back, "written a moment ago"),
        ("keeps for ever", Checks().test_write_and_read_back, "time-to-live"),
        ("slow", Checks().test_latency, "more than 100 ms"),
    ],
)
def test_one_thing_wrong_is_red(port: int, wrong: str, check: object, says: str) -> None:
    redis = Wrong("127.0.0.1", port, password=PASSWORD)
    redis.wrong = wrong
    seen = judge(check, "redis", target=target(), redis=redis)  # type: ignore[arg-type]
    assert seen.status is Status.FAILED
    assert says in seen.message


def test_without_a_section_there_is_none() -> None:
    with pytest.raises(TargetInvalid, match=r"no \[redis\] section"):
        Redis.from_target(target(), Secrets(target()))
