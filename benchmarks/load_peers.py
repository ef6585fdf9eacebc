"""Other load generators, asked for the same: each gives a row of what it says of itself and how much
CPU time it took. Nothing is installed; a peer that is missing is named with the way to get it."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 20
PERCENTILES = (50.0, 95.0, 99.0, 99.9)
_LIMIT_S = 60.0

_WRK_DONE = """
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %f", summary.requests, summary.duration / 1e6))
  for _, p in ipairs({50, 95, 99, 99.9}) do io.write(string.format(" %f", latency:percentile(p) / 1000)) end
  io.write("\\n")
end
"""


@dataclass(frozen=True)
class Measured:
    """What a tool did: requests, seconds, CPU seconds of its own, percentiles in ms as it says."""

    tool: str
    requests: int
    seconds: float
    cpu_s: float
    percentiles: tuple[float | None, ...]


@dataclass(frozen=True)
class Peer:
    """One tool. `run(url, seconds, rate)`: at full speed over 20 connections, or at a rate where it
    has one (wrk has none)."""

    tool: str
    get: str
    path: str | None
    run: Callable[[str, str, float, float | None], Measured]


def peers(locust: str | None) -> tuple[Peer, ...]:
    """The tools, those that are missing with `path` None."""
    return (
        Peer("wrk", "apt-get install wrk", shutil.which("wrk"), _wrk),
        Peer("hey", "apt-get install hey", shutil.which("hey"), _hey),
        Peer(
            "locust",
            "python -m venv DIR && DIR/bin/pip install locust, then --locust DIR/bin/locust",
            _executable(locust) or shutil.which("locust"),
            _locust,
        ),
        Peer("aiohttp", "pip install aiohttp", _aiohttp_path(), _aiohttp),
    )


def _executable(path: str | None) -> str | None:
    if path is None:
        return None
    chosen = Path(path)
    if chosen.is_dir():
        chosen = chosen / "bin" / "locust"
    return str(chosen) if os.access(chosen, os.X_OK) else None


def _aiohttp_path() -> str | None:
    import importlib.util

    return sys.executable if importlib.util.find_spec("aiohttp") is not None else None


def _timed(command: Sequence[str], seconds: float, **environment: str) -> tuple[str, float]:
    """Standard output, and the CPU seconds of the process with its children."""
    before = os.times()
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + _LIMIT_S, env={**os.environ, **environment}
    )
    after = os.times()
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command[0]} ended with {done.returncode}: {done.stderr[-300:]}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stdout, used


def _wrk(path: str, url: str, seconds: float, rate: float | None) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "done.lua"
        script.write_text(_WRK_DONE)
        command = [path, "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", str(script), url]
        output, cpu_s = _timed(command, seconds)
    found = re.search(r"RESULT (.+)", output)
    if found is None:
        raise SystemExit(f"wrk said something else than expected: {output[-300:]}")
    requests, took, *percentiles = found.group(1).split()
    return Measured("wrk", int(requests), float(took), cpu_s, tuple(map(float, percentiles)))


def _hey(path: str, url: str, seconds: float, rate: float | None) -> Measured:
    base = [path, "-z", f"{seconds:.0f}s", "-c", str(CONNECTIONS)]
    if rate is None:
        output, cpu_s = _timed([*base, url], seconds)
        found = re.search(r"Requests/sec:\s+([\d.]+)", output)
        if found is None:
            raise SystemExit(f"hey said something else than expected: {output[-300:]}")
        return Measured("hey", round(float(found.group(1)) * seconds), seconds, cpu_s, (None,) * 4)
    # Its list of every response is the only way to a percentile beyond 99.
    output, cpu_s = _timed([*base, "-q", f"{rate / CONNECTIONS:g}", "-o", "csv", url], seconds)
    times = sorted(float(row["response-time"]) * 1000 for row in csv.DictReader(io.StringIO(output)))
    return Measured("hey", len(times), seconds, cpu_s, tuple(_rank(times, p) for p in PERCENTILES))


def _rank(ordered: Sequence[float], percent: float) -> float:
    return ordered[min(len(ordered) - 1, max(0, -int(-len(ordered) * percent // 100) - 1))]


def _locust(path: str, url: str, seconds: float, rate: float | None) -> Measured:
    script = Path(__file__).with_name("load_locustfile.py")
    command = [path, "-f", str(script), "--headless", "-u", str(CONNECTIONS), "-r", str(CONNECTIONS)]
    command += ["-t", f"{seconds + _LIMIT_S / 2:.0f}s", "-H", url.rstrip("/"), "--only-summary"]
    per_user = "" if rate is None else f"{rate / CONNECTIONS:g}"
    output, _ = _timed(command, seconds, LOAD_RATE=per_user, LOAD_SECONDS=f"{seconds:g}")
    return _from_json("locust", output)


def _aiohttp(path: str, url: str, seconds: float, rate: float | None) -> Measured:
    command = [path, "-m", "benchmarks.load_aiohttp", url, str(seconds), str(CONNECTIONS)]
    output, _ = _timed([*command, "" if rate is None else str(rate)], seconds)
    return _from_json("aiohttp", output)


def _from_json(tool: str, output: str) -> Measured:
    found = re.search(r"^RESULT (.+)$", output, re.MULTILINE)
    if found is None:
        raise SystemExit(f"{tool} said something else than expected: {output[-300:]}")
    values = json.loads(found.group(1))
    return Measured(
        tool, values["requests"], values["seconds"], values["cpu_s"], tuple(values["percentiles"])
    )
