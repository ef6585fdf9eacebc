"""Many light targets validated at once on this machine, with Dagster's storage in one PostgreSQL:
`python -m benchmarks.many_targets [--targets 20] [--at-once 4] [--json]`.

Each target is an HTTP server of its own and gets `hokusai-validation run TARGET --no-load --no-chaos`;
as many runs as `--at-once` go on at a time, as the run queue of deploy/dagster.yaml would have it. All
must finish, with every row, each in its own target. Prints the time, and the peak of the memory that
all processes of the runs have together (RSS, what they share counted for each)."""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import yaml

from hokusai_validation.catalogue import phase_entries
from hokusai_validation.result import Phase
from hokusai_validation.store.results import ResultStore
from hokusai_validation_tests.deploy.conftest import Postgres, running_postgres
from hokusai_validation_tests.endurance.light import ENVIRONMENT, target_file
from hokusai_validation_tests.suite_beyond.stub import Stub, serving
from hokusai_validation_tests.whole.running import COMMAND, SETTINGS, environment

PHASES = (Phase.ENVIRONMENT, Phase.DISCOVERY, Phase.HEALTH, Phase.FUNCTIONAL)
RUN_LIMIT_S = 1200.0
SAMPLE_S = 0.5


@dataclass(frozen=True)
class Outcome:
    """What came of all runs. `problems` says what is wrong with which target."""

    targets: int
    at_once: int
    wall_s: float
    run_s_median: float
    peak_rss_bytes: int
    peak_rss_of_one_process_bytes: int
    rows: int
    problems: tuple[str, ...]


def validate(number: int, at_once: int, phases: Sequence[Phase] = PHASES) -> Outcome:
    """Validate that many targets and look at what is on record."""
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="many-targets-")))
        more = {**ENVIRONMENT, **storage(base, stack.enter_context(running_postgres()))}
        stubs = {f"light-{index}": stack.enter_context(serving()) for index in range(number)}
        for name, stub in stubs.items():
            target_file(base, name, stub.url)
        started = time.monotonic()
        memory = stack.enter_context(_Memory())
        with ThreadPoolExecutor(at_once) as pool:
            times = list(pool.map(lambda name: _run(base, name, phases, more), stubs))
        wall_s = time.monotonic() - started
        rows, problems = _look(base, stubs, phases)
    problems = [said for _, said in times if said] + problems
    seconds = sorted(taken for taken, _ in times)
    return Outcome(
        number,
        at_once,
        round(wall_s, 1),
        round(seconds[len(seconds) // 2], 1),
        memory.all_bytes,
        memory.one_bytes,
        rows,
        tuple(problems),
    )


def storage(base: Path, server: Postgres) -> dict[str, str]:
    """Dagster's settings for runs under `base`, and what the environment must give."""
    database = {"hostname": server.host, "port": server.port, "username": server.user, "db_name": "dagster"}
    settings = {
        "telemetry": {"enabled": False},
        "storage": {
            "postgres": {"postgres_db": {**database, "password": {"env": "LIGHT_DATABASE_PASSWORD"}}}
        },
    }
    (base / SETTINGS).write_text(yaml.safe_dump(settings), encoding="utf-8")
    return {"LIGHT_DATABASE_PASSWORD": server.password}


def _run(base: Path, name: str, phases: Sequence[Phase], more: dict[str, str]) -> tuple[float, str]:
    """Seconds, and what went wrong (empty: nothing)."""
    values = environment(base, **more)
    begun = time.monotonic()
    done = subprocess.run(
        [
            *(*COMMAND, str(base / f"{name}.toml"), "--no-load", "--no-chaos"),
            *(word for phase in phases for word in ("--phase", phase.value)),
        ],
        cwd=base,
        env=values,
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )
    ended = done.returncode in (0, 1, 3) and "report: " in done.stdout
    return time.monotonic() - begun, "" if ended else f"{name}: {done.returncode}: {done.stderr[-500:]}"


def _look(base: Path, stubs: dict[str, Stub], phases: Sequence[Phase]) -> tuple[int, list[str]]:
    """How many rows there are, and what is wrong with them."""
    store, count, problems = ResultStore(base / "results"), 0, []
    expected = {entry.test for phase in phases for entry in phase_entries(phase)}
    for name, stub in stubs.items():
        rows = store.rows(name)
        count += len(rows)
        lost = expected - {row.test for row in rows}
        if lost:
            problems.append(f"{name}: {len(lost)} rows lost, as {min(lost)}")
        silent = [row.id for row in rows if row.message.startswith("never reported")]
        if silent:
            problems.append(f"{name}: {', '.join(silent)} never reported")
        if len(store.runs(name)) != 1:
            problems.append(f"{name}: {len(store.runs(name))} runs on record")
        text = " ".join(row.model_dump_json() for row in rows)
        if stub.url not in text:
            problems.append(f"{name}: no row speaks of {stub.url}")
        others = [other for other, its in stubs.items() if other != name and f"{its.url}/" in text]
        if others or {row.target for row in rows} != {name}:
            problems.append(f"{name}: rows of {', '.join(others) or 'another target'} among its own")
        report = base / "results" / "reports" / name / "latest" / "report.json"
        if not report.is_file() or json.loads(report.read_text())["target"] != name:
            problems.append(f"{name}: no report of its own")
    return count, problems


class _Memory:
    """The peak of the memory of everything that this process started, PostgreSQL left out."""

    def __init__(self) -> None:
        self.all_bytes = self.one_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "_Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_S):
            sizes = []
            for process in psutil.Process().children(recursive=True):
                try:
                    if process.name() != "postgres":
                        sizes.append(process.memory_info().rss)
                except psutil.Error:
                    continue
            self.all_bytes = max(self.all_bytes, sum(sizes))
            self.one_bytes = max(self.one_bytes, *sizes, 0)


def main() -> int:
    """Measure and print; 1 when something is missing or in the wrong place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    done = validate(options.targets, options.at_once)
    if options.json:
        print(json.dumps(asdict(done)))
    else:
        print(
            f"{done.targets} targets, {done.at_once} at once: {done.wall_s:.1f} s"
            f" (one run: median {done.run_s_median:.1f} s), {done.rows} rows,"
            f" peak {done.peak_rss_bytes / 2**20:.0f} MiB in all,"
            f" {done.peak_rss_of_one_process_bytes / 2**20:.0f} MiB in one process"
        )
        print("\n".join(done.problems) or "nothing lost, nothing in the wrong target")
    return 1 if done.problems else 0


if __name__ == "__main__":
    sys.exit(main())
