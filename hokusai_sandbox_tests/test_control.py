"""The control agent: what it does to a process is real, and comes off when its lease ends."""

import asyncio
import resource
import time

import httpx
import psutil
import pytest

from hokusai_sandbox.stack import Stack
from hokusai_sandbox_tests.aids import Sandbox, eventually

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def up(sandbox: Stack) -> Sandbox:
    found = Sandbox(sandbox)
    found.control("POST", "/reset")
    found.until_healthy()
    return found


def client(up: Sandbox) -> httpx.Client:
    """With the right token."""
    assert up.target.control is not None
    token = up.secret(up.target.control.token)
    return httpx.Client(
        base_url=up.target.control.url, headers={"authorization": f"Bearer {token}"}, trust_env=False
    )


def test_without_the_token_nothing_is_done(up: Sandbox) -> None:
    assert up.target.control is not None
    for headers in ({}, {"authorization": "Bearer wrong"}):
        answer = httpx.post(
            f"{up.target.control.url}/processes/redis/kill", headers=headers, json={}, trust_env=False
        )
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("POST", "/processes/nobody/kill", {}, 404),
        ("POST", "/processes/redis/dance", {}, 404),
        ("POST", "/processes/redis/kill", {"down_s": 1e9}, 400),
        ("POST", "/processes/redis/kill", {"down_s": "long"}, 400),
        ("POST", "/processes/redis/pause", {"lease": "no such lease"}, 409),
        ("POST", "/processes/redis/memory", {}, 400),
        ("POST", "/processes/redis/memory", {"margin_bytes": -1}, 400),
        ("POST", "/processes/redis/stress_memory", {"bytes": 10**15}, 400),
        ("POST", "/processes/redis/cpu", {"share": 7}, 400),
        ("POST", "/leases", {"id": "x", "seconds": 0}, 400),
        ("POST", "/leases", {"id": "x", "seconds": 1e9}, 400),
        ("POST", "/leases", {}, 400),
        ("DELETE", "/leases/never-made", None, 404),
        ("POST", "/aws/no_such_state", {}, 400),
        ("POST", "/aws/rollout_failed", {"component": "nobody"}, 400),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    up: Sandbox, method: str, path: str, body: object, status: int
) -> None:
    with client(up) as http:
        answer = http.request(method, path, json=body)
        assert (answer.status_code, bool(answer.json()["detail"])) == (status, True)


def test_a_body_that_is_no_json_is_refused(up: Sandbox) -> None:
    with client(up) as http:
        assert http.post("/leases", content=b"{nonsense").status_code == 400
        assert http.post("/leases", content=b"[1]").status_code == 400


def test_a_pause_ends_with_its_lease(up: Sandbox) -> None:
    pid = up.process("redis")["pid"]
    up.control("POST", "/leases", {"id": "pause", "seconds": 1.0})
    assert up.control("POST", "/processes/redis/pause", {"lease": "pause"})["state"] == "paused"
    # The signal is sent, and takes effect when the kernel next looks.
    eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, limit_s=0.8)
    assert up.control("GET", "/leases")[0]["faults"] == ["pause redis"]
    eventually(lambda: up.process("redis")["state"] == "running", limit_s=5)
    assert up.process("redis")["pid"] == pid
    assert up.control("GET", "/leases") == []


def test_a_renewed_lease_holds_on_and_ends_by_word(up: Sandbox) -> None:
    up.control("POST", "/leases", {"id": "held", "seconds": 0.6})
    up.control("POST", "/processes/redis/pause", {"lease": "held"})
    began = time.monotonic()
    while time.monotonic() < began + 1.2:
        up.control("POST", "/leases", {"id": "held", "seconds": 0.6})
        assert up.process("redis")["state"] == "paused"
        time.sleep(0.1)
    up.control("DELETE", "/leases/held")
    assert up.process("redis")["state"] == "running"


def test_paused_postgres_stands_still_with_all_its_backends(up: Sandbox) -> None:
    up.control("POST", "/leases", {"id": "pg", "seconds": 10})
    up.control("POST", "/processes/postgres/pause", {"lease": "pg"})
    main = psutil.Process(up.process("postgres")["pid"])
    family = [main, *main.children(recursive=True)]
    try:
        assert len(family) > 3
        for process in family:
            eventually(lambda p=process: p.status() == psutil.STATUS_STOPPED)  # type: ignore[misc]
    finally:
        up.control("DELETE", "/leases/pg")
    up.until_healthy()


def test_a_killed_process_stays_down_for_as_long_as_asked(up: Sandbox) -> None:
    before = up.process("redis")
    began = time.monotonic()
    up.control("POST", "/processes/redis/kill", {"down_s": 1.0})
    eventually(lambda: up.process("redis")["state"] == "down", limit_s=1)
    up.until_back("redis", before["pid"])
    assert time.monotonic() - began >= 1.0
    up.until_healthy()


def test_a_restart_is_in_order(up: Sandbox) -> None:
    before = up.process("redis")
    up.control("POST", "/processes/redis/restart")
    after = up.until_back("redis", before["pid"])
    assert after["restarts"] == before["restarts"] + 1
    log = (up.stack.directory / "logs" / "redis.log").read_text()
    assert "User requested shutdown" in log or "Received SIGTERM" in log
    up.until_healthy()


def test_memory_is_really_limited_and_the_limit_comes_off(up: Sandbox) -> None:
    pid = up.process("auth")["pid"]
    up.control("POST", "/leases", {"id": "memory", "seconds": 30})
    up.control("POST", "/processes/auth/memory", {"margin_bytes": 8_000_000, "lease": "memory"})
    soft, _ = resource.prlimit(pid, resource.RLIMIT_DATA)
    assert 8_000_000 < soft < 2**40
    up.control("DELETE", "/leases/memory")
    assert resource.prlimit(pid, resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY


def test_burners_burn_and_go(up: Sandbox) -> None:
    supervisor = psutil.Process(up.status["supervisor"]["pid"])
    before = {child.pid for child in supervisor.children()}
    up.control("POST", "/leases", {"id": "burn", "seconds": 30})
    up.control("POST", "/processes/redis/stress_memory", {"bytes": 50_000_000, "lease": "burn"})
    up.control("POST", "/processes/redis/cpu", {"share": 0.2, "lease": "burn"})

    def stressors() -> list[psutil.Process]:
        return [child for child in supervisor.children() if child.pid not in before]

    eventually(
        lambda: any(item.memory_info().rss > 50_000_000 for item in stressors()), what="stress_memory held"
    )
    eventually(lambda: sum(item.cpu_times().user for item in stressors()) > 0.1, what="processor burned")
    up.control("DELETE", "/leases/burn")
    eventually(lambda: not stressors(), limit_s=3, what="stressors gone")


def test_reset_takes_everything_off(up: Sandbox) -> None:
    up.control("POST", "/processes/redis/pause")
    up.control("POST", "/processes/auth/memory", {"margin_bytes": 50_000_000})
    up.control("POST", "/aws/rollout_failed", {"component": "api"})
    up.control("POST", "/reset")
    assert up.process("redis")["state"] == "running"
    assert up.control("GET", "/aws") == {}
    pid = up.process("auth")["pid"]
    assert resource.prlimit(pid, resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY
    up.until_healthy()


def test_a_state_of_aws_ends_with_its_lease(up: Sandbox) -> None:
    up.control("POST", "/leases", {"id": "aws", "seconds": 0.5})
    up.control("POST", "/aws/rds_status", {"status": "stopping", "lease": "aws"})
    assert set(up.control("GET", "/aws")) == {"rds_status"}
    eventually(lambda: up.control("GET", "/aws") == {}, limit_s=5)


def test_many_askers_at_once(up: Sandbox) -> None:
    async def ask() -> list[int]:
        assert up.target.control is not None
        token = up.secret(up.target.control.token)
        async with httpx.AsyncClient(
            base_url=up.target.control.url, headers={"authorization": f"Bearer {token}"}, trust_env=False
        ) as http:
            answers = await asyncio.gather(*(http.get("/processes") for _ in range(20)))
            return [answer.status_code for answer in answers]

    assert asyncio.run(ask()) == [200] * 20
