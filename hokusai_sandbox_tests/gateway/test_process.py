"""The gateway and the auth service as processes: how they start, end, and refuse to start."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from hokusai_sandbox.auth_service.settings import Settings as AuthSettings
from hokusai_sandbox.gateway.__main__ import main
from hokusai_sandbox.gateway.settings import Settings
from hokusai_sandbox_tests.gateway.rig import until

NOBODY = "http://127.0.0.1:9"
GATEWAY = "hokusai_sandbox.gateway"
AUTH = "hokusai_sandbox.auth_service"
NEEDED = {
    "MLFLOW_TRACKING_URI": NOBODY,
    "AUTH_SERVICE_URL": NOBODY,
    "DATABASE_PASSWORD": "hk_secret_of_the_database",
    "DATABASE_PORT": "9",
    "PORT": "0",
}


def environment(**told: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **told}


@contextmanager
def process(module: str, **told: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The process and its first log line."""
    started = subprocess.Popen(
        [sys.executable, "-m", module], env=environment(**told), stderr=subprocess.PIPE, text=True
    )
    assert started.stderr is not None
    try:
        yield started, json.loads(started.stderr.readline())
    finally:
        started.kill()
        started.wait()
        started.stderr.close()


def test_gateway_starts_alone_and_ends_on_sigterm() -> None:
    with process(GATEWAY, **NEEDED, REDIS_URL="redis://:hk_secret_redis@127.0.0.1:9/0") as (gateway, line):
        api, admin = f"http://{line['address']}", f"http://{line['admin']}"
        assert until(lambda: httpx.get(f"{api}/live").status_code == 200)
        health = httpx.get(f"{api}/health?detailed=true")
        assert health.json()["status"] == "unhealthy"
        assert "hk_secret" not in health.text
        assert httpx.put(f"{admin}/failpoints", json={"psutil_missing": True, "lease_s": 2.0}).json() == {
            "psutil_missing": True,
            "prometheus_missing": False,
            "reset_fails": False,
            "mlflow_check_breaks": False,
        }
        assert httpx.get(f"{api}/live").json()["memory_usage_mb"] == 0
        assert until(lambda: httpx.get(f"{api}/live").json()["memory_usage_mb"] > 0)
        httpx.put(f"{admin}/failpoints", json={"reset_fails": True})
        assert not any(httpx.delete(f"{admin}/failpoints").json().values())
        wrong: Any
        for wrong in ({"nonsense": True}, {"reset_fails": 1}, {"lease_s": -1}, [], {"lease_s": True}):
            assert httpx.put(f"{admin}/failpoints", json=wrong).status_code == 422
        assert httpx.get(f"{admin}/defects").json() == []
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(5) == 0
        assert gateway.stderr is not None
        lines = gateway.stderr.read()
        assert "hk_secret" not in lines
        assert json.loads(lines.splitlines()[-1])["event"] == "stopped"


def test_auth_service_starts_with_its_keys(tmp_path: Any) -> None:
    keys = json.dumps({"good": "hk_good_0123456789", "expired": "hk_expired_0123456789"})
    told = {"PORT": "0", "AUTH_KEYS": keys, "AUTH_STORE": str(tmp_path / "keys.db")}
    with process(AUTH, **told) as (auth, line):
        url = f"http://{line['address']}"
        assert until(lambda: httpx.get(f"{url}/health").json()["status"] == "healthy")
        made = httpx.post(f"{url}/admin/keys", json={"kind": "good"}).json()
        auth.kill()  # keys outlive it
    with process(AUTH, **told) as (_, line):
        url = f"http://{line['address']}"
        statuses = [
            httpx.post(
                f"{url}/api/v1/keys/validate",
                json={"service_id": "platform"},
                headers={"authorization": f"Bearer {key}"},
            ).status_code
            for key in ("hk_good_0123456789", made["key"], "hk_expired_0123456789", "hk_good_unknown")
        ]
        assert statuses == [200, 200, 401, 401]
    assert b"hk_good" not in (tmp_path / "keys.db").read_bytes()


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"DATABASE_PASSWORD": ""}, "DATABASE_PASSWORD is missing"),
        ({"PORT": "many"}, "PORT"),
        ({"PROXY_TIMEOUT_S": "0"}, "PROXY_TIMEOUT_S"),
        ({"MLFLOW_TRACKING_URI": "ftp://x"}, "MLFLOW_TRACKING_URI"),
        ({"MLFLOW_CB_RECOVERY_TIMEOUT": "soon"}, "MLFLOW_CB_RECOVERY_TIMEOUT"),
        ({"CHECK_TIMEOUT_S": "2", "HEALTH_TIMEOUT_S": "2"}, "CHECK_TIMEOUT_S must be below"),
        ({"GATEWAY_DEFECTS": "nonsense"}, "nonsense"),
        ({"GATEWAY_DEFECTS": "slow=x"}, "slow="),
        ({"GATEWAY_DEFECTS": "key_in_answer=1"}, "takes no value"),
    ],
)
def test_unusable_environment(
    told: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in (NEEDED | told).items():
        monkeypatch.setenv(name, value)
    assert main() == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize("module", [GATEWAY, AUTH])
def test_port_taken(module: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", module],
            env=environment(**NEEDED | {"PORT": port}),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.returncode == 3
    assert port in ended.stderr
    assert "Traceback" not in ended.stderr


def test_settings_hide_secrets() -> None:
    with pytest.raises(ValueError, match="AUTH_KEYS") as found:
        AuthSettings.from_env({"AUTH_KEYS": '[{"key": 1, "kind": "hk_secret_1"}]'})
    assert "hk_secret" not in str(found.value)
    told = Settings.from_env({**NEEDED, "REDIS_URL": "redis://:hk_secret_redis@h/0"})
    assert "hk_secret" not in repr(told)
    assert told.redis_url.get_secret_value() == "redis://:hk_secret_redis@h/0"


def test_defects_of_another_instance_are_not_ours() -> None:
    told = {**NEEDED, "GATEWAY_DEFECTS": "slow=0.5@api-2, key_in_answer,naive_timestamps@api-1"}
    assert Settings.from_env(told | {"INSTANCE_NAME": "api-1"}).defects == (
        "key_in_answer",
        "naive_timestamps",
    )
    assert Settings.from_env(told | {"INSTANCE_NAME": "api-2"}).defects == ("slow=0.5", "key_in_answer")


def test_full_log_pipe_does_not_stop_the_service() -> None:
    with process(GATEWAY, **NEEDED) as (_, line):  # nobody reads on
        api = f"http://{line['address']}"
        assert until(lambda: httpx.get(f"{api}/live").status_code == 200)
        with httpx.Client(base_url=api) as client:
            for _ in range(600):
                client.get("/x" * 200)
            started = time.monotonic()
            assert client.get("/live").status_code == 200
            assert time.monotonic() - started < 1
