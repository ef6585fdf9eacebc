"""`hokusai-validation run` and the sandbox: one that is up is used and left up; one that was started
for the run is gone behind it, however the run ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hokusai_sandbox.stack import Stack

SCRIPT = str(Path(sys.executable).with_name("hokusai-validation"))
WAIT_S = 180.0  # a busy machine takes long to start a stack


def start(folder: Path, sandbox_dir: Path, *words: str) -> "subprocess.Popen[str]":
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ours = {
        "HOKUSAI_SANDBOX_DIR": str(sandbox_dir),
        "HOKUSAI_RESULTS": str(folder / "results"),
        "DAGSTER_HOME": str(folder / "home"),
    }
    return subprocess.Popen(
        [SCRIPT, "run", "sandbox", *words],
        cwd=folder,
        env={**inherited, **ours},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(directory: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline", "environ", "status"]):
        words = " ".join(process.info["cmdline"] or ())
        environment = (process.info["environ"] or {}).get("HOKUSAI_SANDBOX_DIR", "")
        alive = process.info["status"] != psutil.STATUS_ZOMBIE and process.pid != os.getpid()
        if alive and (str(directory) in words or environment == str(directory)):
            found.append(words)
    return found


@pytest.mark.sandbox
def test_one_that_is_up_is_used_and_left_up(sandbox: Stack, tmp_path: Path) -> None:
    with start(tmp_path, sandbox.directory, "--phase", "environment", "--json") as process:
        out, err = process.communicate(timeout=WAIT_S)
    report = json.loads(out)
    assert report["target"] == "sandbox"
    statuses = {row["test"]: row["status"] for row in report["results"] if row["phase"] == "environment"}
    assert statuses["TestCredentials::test_api_key"] == "passed"
    assert statuses["TestCredentials::test_database_login"] == "passed"
    assert "failed" not in statuses.values()
    assert process.returncode == 0, err
    assert "starting the sandbox" not in err
    assert Stack.running(sandbox.directory) is not None
    # no secret of the stack in anything that was written
    secrets = [
        line.partition("=")[2].encode()
        for line in (sandbox.directory / "secrets.env").read_text().splitlines()
        if "=" in line
    ]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [secret for secret in secrets if len(secret) > 7 and secret in content], path


@pytest.mark.sandbox
def test_one_that_was_started_is_gone_after_a_kill(tmp_path: Path) -> None:
    directory = tmp_path / "stack"
    process = start(tmp_path, directory, "--phase", "discovery")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("discovery"):
            break
    else:
        pytest.fail(f"ended before its first phase: {process.communicate(timeout=WAIT_S)[1]}")
    assert len(processes_of(directory)) > 5
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=WAIT_S)
    deadline = time.monotonic() + WAIT_S
    while processes_of(directory) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(directory) == []
    assert Stack.running(directory) is None
