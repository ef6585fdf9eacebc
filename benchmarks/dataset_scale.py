"""How long questions over many runs take: `python -m benchmarks.dataset_scale [--targets 100] [--runs 1000]
[--rows 200] [--json]`.

Fills a dataset (24 runs a day and target, compacted days, evidence of about 1 kB that does not compress) in a
temporary folder, then asks each question in a fresh process: one test's outcomes over all runs of a target,
and the failures of all targets in a week. Seconds from the process's start, and its peak of memory."""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

LIMIT_S, LIMIT_BYTES = 3.0, 500 * 1024 * 1024
START = datetime(2026, 1, 1, tzinfo=UTC)
RUNS_A_DAY = 24
EVIDENCE_BYTES = 1024
QUESTIONS = ("outcomes", "failures")


def day_of(day: date, runs: int, rows: int, evidence: "pa.Array", chance: random.Random) -> "pa.Table":
    """A compacted day of a target, as `store.dataset` leaves it: sorted by test."""
    import pyarrow as pa

    from hokusai_validation import catalogue
    from hokusai_validation.store.dataset import _schema

    entries = catalogue.entries()
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    columns: dict[str, list[Any]] = {name: [] for name in _schema().names if name not in ("target", "date")}
    for index in range(rows):
        entry = entries[index % len(entries)]
        again = index // len(entries)
        for run in range(runs):
            failed = chance.random() < 0.02
            values = {
                "run_id": f"{day.isoformat()}-{run}",
                "phase": entry.phase.value,
                "category": entry.category.value,
                "id": entry.id,
                "test": entry.test if not again else f"{entry.test}[{again}]",
                "component": entry.component,
                "critical": entry.critical,
                "status": "failed" if failed else "passed",
                "started_at": begin + timedelta(hours=run, seconds=index),
                "duration_s": chance.random(),
                "message": "GET /health answered 503 after 120 ms" if failed else "",
                "detail": "",
                "facts": "[]",
                "observations": "[]",
                "metrics": "{}",
                "attempt": 1,
                "flaky": False,
            }
            for name, column in columns.items():
                column.append(values.get(name))
    number = len(columns["test"])
    columns["evidence"] = evidence.take(pa.array(chance.choices(range(len(evidence)), k=number))).to_pylist()
    order = sorted(range(number), key=lambda at: (columns["test"][at], columns["started_at"][at]))
    schema = pa.schema([_schema().field(name) for name in columns])
    return pa.table(columns, schema=schema).take(pa.array(order))


def fill(base: Path, targets: int, runs: int, rows: int) -> int:
    """The past; its size in bytes. A day's rows are made once and evidence is drawn anew for each file."""
    import pyarrow as pa

    from hokusai_validation.store.dataset import FOLDER, write

    chance = random.Random(1)
    pool = pa.array([chance.randbytes(EVIDENCE_BYTES // 2).hex() for _ in range(20_000)])
    size, left, day = 0, runs, START.date()
    while left > 0:
        table = day_of(day, min(RUNS_A_DAY, left), rows, pool, chance)
        where = table.schema.get_field_index("evidence")
        for target in range(targets):
            drawn = pool.take(pa.array(chance.choices(range(len(pool)), k=table.num_rows)))
            folder = base / FOLDER / f"target=t{target:03}" / f"date={day.isoformat()}"
            folder.mkdir(parents=True)
            file = folder / "day-made.parquet"
            made = table.set_column(where, "evidence", drawn)
            write(made, str(file))
            size += file.stat().st_size
        left -= RUNS_A_DAY
        day += timedelta(days=1)
    return size


def ask(question: str, base: Path, runs: int) -> dict[str, Any]:
    """One question, in this process."""
    from upath import UPath

    from hokusai_validation.store.dataset import Dataset

    dataset = Dataset(UPath(base))
    if question == "outcomes":
        from hokusai_validation import catalogue

        found = dataset.outcomes("t000", catalogue.entries()[3].test, since=START)
    else:
        end = START + timedelta(days=runs / RUNS_A_DAY)
        found = dataset.failures(since=end - timedelta(days=7))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"rows": found.num_rows, "peak_rss_bytes": peak}


def main() -> int:
    """Exit status 1 when a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--ask", choices=QUESTIONS, help=argparse.SUPPRESS)
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.ask is not None:
        print(json.dumps(ask(asked.ask, asked.base, asked.runs)))
        return 0
    outcome: dict[str, Any] = {name: getattr(asked, name) for name in ("targets", "runs", "rows")}
    with tempfile.TemporaryDirectory(prefix="dataset-scale-") as folder:
        outcome["size_bytes"] = fill(Path(folder), asked.targets, asked.runs, asked.rows)
        for question in QUESTIONS:
            command = [sys.executable, "-m", "benchmarks.dataset_scale", "--ask", question, "--base", folder]
            began = time.monotonic()
            done = subprocess.run(
                [*command, "--runs", str(asked.runs)], capture_output=True, text=True, timeout=600, check=True
            )
            told = json.loads(done.stdout.splitlines()[-1])
            outcome[question] = {"seconds": round(time.monotonic() - began, 2), **told}
    good = all(
        outcome[each]["seconds"] <= LIMIT_S and outcome[each]["peak_rss_bytes"] <= LIMIT_BYTES
        for each in QUESTIONS
    )
    if asked.json:
        print(json.dumps(outcome))
    else:
        total = asked.targets * asked.runs * asked.rows
        print(f"{total:,} rows of {asked.targets} targets, {outcome['size_bytes'] / 1e9:.2f} GB:")
        for each in QUESTIONS:
            told = outcome[each]
            print(
                f"  {each}: {told['rows']} rows in {told['seconds']:.2f} s (limit {LIMIT_S:g} s),"
                f" {told['peak_rss_bytes'] / 1024**2:.0f} MB (limit {LIMIT_BYTES / 1024**2:g} MB)"
            )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
