"""How long a verdict takes, healthy and broken, and how long the first right finding.

    python -m benchmarks.verdict_time [--runs 5] [--only "postgres hanging"] [--json] [--picture FILE.svg]

Each run is the command that a person types, against a sandbox of its own that is up already. `light_s` is
a run without load and faults; `first_right_s` is when `provisional.json` first named the part that is out,
`found` what the report leads with. Medians of `--runs`; the machine should be quiet.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import click

from benchmarks.outages import OUTAGES, Outage
from hokusai_validation.errors import RequestFailed
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.target import Target, read_target

LIGHT = ("--no-load", "--no-chaos")
RUN_LIMIT_S = 900.0
HEALTHY_WITHIN_S = 240.0  # a connection that nobody took is given up after two minutes
POLL_S = 0.1
AT_ONCE_S, WELL_TIMES = 1.0, 10
BLOCKING = "blocks_for_two_minutes"


@dataclass(frozen=True)
class Taken:
    """One run: its seconds, when the first right finding was told (None: never), its exit status, and the
    finding that its report leads with (`process_down@postgres`)."""

    seconds: float
    first_right_s: float | None
    status: int
    found: str


@dataclass(frozen=True)
class OutageTime:
    """Of one outage, medians; `found` is of the last run."""

    name: str
    light_s: float
    first_right_s: float | None
    found: str


@contextmanager
def sandbox(folder: Path, scenario: str = "clean") -> Iterator[Target]:
    """A sandbox that is up in the block."""
    command = (sys.executable, "-m", "hokusai_validation.cli", "sandbox")
    where = ("--dir", str(folder))
    subprocess.run([*command, "up", *where, "--scenario", scenario], check=True, capture_output=True)
    try:
        yield read_target(str(folder / "target.toml"))
    finally:
        subprocess.run([*command, "down", *where], check=False, capture_output=True)


def run(folder: Path, *options: str, part: str | None = None) -> Taken:
    """One run of the command line against the sandbox in a folder, with storage of its own."""
    with tempfile.TemporaryDirectory(prefix="verdict-time-") as base:
        environment = {**os.environ, "DAGSTER_HOME": f"{base}/dagster", "HOKUSAI_RESULTS": f"{base}/results"}
        command = [
            sys.executable,
            "-m",
            "hokusai_validation.cli",
            "run",
            str(folder / "target.toml"),
            *options,
        ]
        started = time.monotonic()
        process = subprocess.Popen(
            command, env=environment, cwd=base, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        first: float | None = None
        while process.poll() is None:
            if time.monotonic() - started > RUN_LIMIT_S:
                process.terminate()
                process.wait()
                break
            if part is not None and first is None and _names(Path(base), part):
                first = time.monotonic() - started
            time.sleep(POLL_S)
        return Taken(time.monotonic() - started, first, process.returncode, _found(Path(base)))


def _found(base: Path) -> str:
    for path in base.glob("results/reports/*/*/report.json"):
        for finding in json.loads(path.read_text(encoding="utf-8"))["findings"]:
            return f"{finding['cause']}@{finding['component']}"
    return ""


def _names(base: Path, part: str) -> bool:
    """Whether a finding that was told before the end is at the part."""
    for path in base.rglob("provisional.json"):
        found = json.loads(path.read_text(encoding="utf-8"))["findings"]
        if any(each["component"] == part for each in found):
            return True
    return False


def await_healthy(target: Target) -> None:
    """Ordinary calls to every instance until each says healthy again, and to MLflow until it answers at once:
    what was asked while it stood still keeps it busy for a while.

    Raises TimeoutError."""
    deadline, well = time.monotonic() + HEALTHY_WITHIN_S, 0
    while time.monotonic() < deadline:
        well = well + 1 if _is_well(target) else 0
        if well == WELL_TIMES:
            return
        time.sleep(POLL_S)
    raise TimeoutError(f"the sandbox did not become healthy within {HEALTHY_WITHIN_S:g} s")


def _is_well(target: Target) -> bool:
    try:
        for instance in target.instances:
            with HttpClient(instance.url) as client:
                client.get("/health/mlflow")
                if client.get("/health").object().get("status") != "healthy":
                    return False
        assert target.mlflow is not None
        with HttpClient(target.mlflow.url or "", timeout_s=AT_ONCE_S) as client:
            return client.get("/api/2.0/mlflow/experiments/search?max_results=1").status == 200
    except RequestFailed:
        return False


def _outage(outage: Outage, target: Target, folder: Path, runs: int) -> OutageTime:
    taken = []
    for _ in range(runs):
        await_healthy(target)
        with outage.on(target):
            taken.append(run(folder, *LIGHT, part=outage.part))
    firsts = [each.first_right_s for each in taken if each.first_right_s is not None]
    found = OutageTime(
        outage.name,
        round(median(each.seconds for each in taken), 1),
        round(median(firsts), 1) if len(firsts) == len(taken) else None,
        taken[-1].found,
    )
    click.echo(found, err=True)  # the whole takes an hour
    return found


@click.command()
@click.option("--runs", default=5, show_default=True)
@click.option("--only", default="", help="Only outages whose name contains this.")
@click.option("--healthy/--no-healthy", default=True, help="Also the healthy runs.")
@click.option("--blocking/--no-blocking", default=True, help="Also the gateway that blocks.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw the outages, as SVG.")
def main(runs: int, only: str, healthy: bool, blocking: bool, as_json: bool, picture: Path | None) -> None:
    """Measure, and print a table or JSON."""
    measured: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="verdict-time-sandbox-") as place:
        folder = Path(place)
        with sandbox(folder) as target:
            if healthy:
                await_healthy(target)
                measured["light_healthy_s"] = _median(folder, runs, *LIGHT)
                measured["whole_healthy_s"] = _median(folder, runs)
            chosen = [each for each in OUTAGES if only in each.name]
            outages = [_outage(each, target, folder, runs) for each in chosen]
            measured["outages"] = [asdict(each) for each in outages]
    if picture is not None:
        picture.write_text(drawn(outages), encoding="utf-8")
    if blocking:
        with (
            tempfile.TemporaryDirectory(prefix="verdict-time-sandbox-") as place,
            sandbox(Path(place), BLOCKING),
        ):
            measured["blocking_whole_s"] = _median(Path(place), runs)
    if as_json:
        click.echo(json.dumps(measured))
        return
    for name, value in measured.items():
        for line in value if isinstance(value, list) else [value]:
            click.echo(f"{name:<18} {line}")


def drawn(outages: Sequence[OutageTime]) -> str:
    """A bar an outage: its run, from its first right finding on filled."""
    row, left, width, below = 22, 150, 720, 30
    longest = max((each.light_s for each in outages), default=1.0)
    step = next(each for each in (10, 20, 30, 60, 120, 300) if longest / each <= 8 or each == 300)
    height = row * len(outages) + below

    def at(seconds: float) -> float:
        return left + seconds / longest * (width - left - 60)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        ' font-size="12"><title>Seconds of a light run, and when its first right finding was told</title>'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    ]
    for seconds in range(0, round(longest) + 1, step):
        x = at(seconds)
        parts.append(f'<path d="M{x:.1f} 0V{height - below}" stroke="#dddddd"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle" fill="#555555">{seconds} s</text>'
        )
    for number, each in enumerate(outages):
        y, first, end = number * row + 5, each.first_right_s, at(each.light_s)
        parts.append(f'<text x="{left - 8}" y="{y + 10}" text-anchor="end" fill="#222222">{each.name}</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="{end - left:.1f}" height="12" fill="#c9d3df"/>')
        if first is not None:
            x = at(first)
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="{end - x:.1f}" height="12" fill="#c0392b"/>')
        told = f"{each.light_s:.0f} s" if first is None else f"{first:.0f} / {each.light_s:.0f} s"
        parts.append(f'<text x="{end + 4:.1f}" y="{y + 10}" fill="#222222">{told}</text>')
    return "\n".join((*parts, "</svg>", ""))


def _median(folder: Path, runs: int, *options: str) -> float:
    return round(median(run(folder, *options).seconds for _ in range(runs)), 1)


if __name__ == "__main__":
    main()
