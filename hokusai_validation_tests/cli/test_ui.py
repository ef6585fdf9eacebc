"""`hokusai-validation ui`: Dagster's UI with a target's phases in it, all of it gone at the end."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
import pytest

from hokusai_sandbox_tests.aids import all_gone, eventually

SCRIPT = str(Path(sys.executable).with_name("hokusai-validation"))
WAIT_S = 180.0
WORKSPACE = """
load_from:
  - python_module:
      module_name: hokusai_validation.definitions
      attribute: defs
      location_name: targets
"""
QUERY = "{ assetNodes { assetKey { path } } }"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def family(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)])
def test_it_serves_the_phases_and_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "stub.toml").write_text('name = "stub"\n')
    (tmp_path / "workspace.yaml").write_text(WORKSPACE)
    port = free_port()
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HOKUSAI") and name != "PYTHONDONTWRITEBYTECODE"
    }
    process = subprocess.Popen(
        [SCRIPT, "ui", "--no-sandbox", "--port", str(port)],
        cwd=tmp_path,
        env={**inherited, "DAGSTER_HOME": str(tmp_path / "home")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert f"http://127.0.0.1:{port}" in line
    try:
        request = Request(
            f"http://127.0.0.1:{port}/graphql",
            json.dumps({"query": QUERY}).encode(),
            {"content-type": "application/json"},
        )
        with urlopen(request, timeout=60) as answer:
            nodes = json.load(answer)["data"]["assetNodes"]
        paths = {tuple(node["assetKey"]["path"]) for node in nodes}
        assert ("stub", "health") in paths
        assert len(paths) == 8
        members = family(process.pid)
        assert len(members) >= 4
    finally:
        process.send_signal(number)
        process.communicate(timeout=WAIT_S)
    eventually(lambda: all_gone(members), limit_s=WAIT_S, what="the end of all its processes")
    with pytest.raises(OSError, match=r"refused|reset"), socket.create_connection(("127.0.0.1", port), 2):
        pass
