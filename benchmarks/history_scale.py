"""How long aggregate and report take, and how much memory, with a long past in the store:
`python -m benchmarks.history_scale [--runs 10000] [--rows 150] [--json]`.

Fills a store with that many runs (rows as Parquet and a summary each, in a temporary folder, some
of the same bytes hard-linked to save time), then does in a fresh process what the two assets do:
read the summaries, hold the frame to its contract, diagnose, write all documents, keep the summary."""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hokusai_validation import catalogue
from hokusai_validation.result import Phase, Result, Status

LIMIT_S, LIMIT_BYTES = 5.0, 500 * 1024 * 1024
TARGET = "scale"
START = datetime(2020, 1, 1, tzinfo=UTC)


def rows_of(run_id: str, at: datetime, number: int) -> list[Result]:
    """As many rows as asked, of catalogued tests first; some of them failed."""
    entries = catalogue.entries()
    found = []
    for index in range(number):
        entry = entries[index % len(entries)]
        again = index // len(entries)
        status = Status.FAILED if index % 50 == 7 else Status.PASSED
        found.append(
            Result(
                run_id=run_id,
                target=TARGET,
                phase=entry.phase,
                category=entry.category,
                id=entry.id,
                test=entry.test if not again else f"{entry.test}[{again}]",
                component=entry.component,
                critical=entry.critical,
                status=status,
                started_at=at + timedelta(seconds=index),
                duration_s=0.2,
                message="GET /health answered 503 after 120 ms" if status is Status.FAILED else "",
                evidence={"answer": {"status": 200, "body": "x" * 300}},
                metrics={"health_p99_ms": 12.5},
            )
        )
    return found


def fill(base: Path, runs: int, number: int) -> None:
    """The past. Rows are written once and linked, for their content is never read again."""
    from hokusai_validation.diagnosis import History, PhaseRows, assemble, summarise
    from hokusai_validation.store.results import ResultStore, Run
    from hokusai_validation.target import Target

    store, target = ResultStore(base), Target(name=TARGET)
    rows = rows_of("past-0", START, number)
    phases = [
        PhaseRows(phase=phase, run_id="past-0", results=tuple(row for row in rows if row.phase is phase))
        for phase in Phase
    ]
    report = assemble(
        run_id="past-0", target=target, phases=phases, started_at=START, finished_at=START, history=History()
    )
    summary = summarise(report, target).model_dump(mode="json")
    summary["histograms"] = {f"test {n}|/health{n}|open": "x" * 3000 for n in range(12)}
    for each in phases:
        store.append(TARGET, each)
    first = base / "rows" / f"target={TARGET}" / "run_id=past-0"
    for index in range(runs):
        run_id, at = f"past-{index}", START + timedelta(hours=index)
        if index:
            folder = first.with_name(f"run_id={run_id}")
            folder.mkdir()
            for file in first.iterdir():
                os.link(file, folder / file.name)
        started = Run(run_id=run_id, target=TARGET, started_at=at, asked=tuple(Phase))
        name = f"{at.strftime('%Y%m%dT%H%M%S%fZ')}_{run_id}.json"
        for kind, content in (
            ("runs", started.model_dump_json()),
            ("summaries", json.dumps({**summary, "run_id": run_id, "at": at.isoformat()})),
        ):
            (base / kind / TARGET).mkdir(parents=True, exist_ok=True)
            (base / kind / TARGET / name).write_text(content)


def measure(base: Path, number: int) -> dict[str, Any]:
    """In this process: what aggregate and report do. Seconds, and the peak of memory in bytes."""
    from pydantic import SecretStr

    from hokusai_validation import reporting
    from hokusai_validation.assets import folding
    from hokusai_validation.diagnosis import results_contract, summarise
    from hokusai_validation.redaction import Redactor
    from hokusai_validation.result import to_frame
    from hokusai_validation.store.results import ResultStore, of_run
    from hokusai_validation.target import Target

    store, target = ResultStore(base), Target(name=TARGET)
    now = datetime.now(UTC)
    rows = rows_of("present", now, number)
    phases = [of_run(phase, "present", [row for row in rows if row.phase is phase]) for phase in Phase]
    redactor = Redactor([SecretStr("not a secret of anyone")])
    started = time.monotonic()
    steps: dict[str, float] = {}

    def step(name: str) -> None:
        steps[name] = round(time.monotonic() - started - sum(steps.values()), 3)

    store.newest(TARGET, Phase.HEALTH)
    step("newest rows of another phase")
    history = folding.history_of(store, TARGET)
    report = folding.report_of(phases, target, "present", history, now, redactor)
    step("aggregate: history and diagnosis")
    results_contract.check(to_frame(report.results), TARGET)
    step("aggregate: contract (with import)")
    summary = summarise(report, target, history)
    store.add_summary(TARGET, "present", now, summary.model_dump(mode="json"))
    step("aggregate: summary")
    store.keep_report(report)
    report = store.report(TARGET)
    step("hand on the report")
    docs = results_contract.write_docs(
        results_contract.check(to_frame(report.results), TARGET), base / "docs"
    )
    step("report: Data Docs")
    reporting.write(report, store.reports, attachments={"data_docs": docs})
    step("report: documents")
    return {
        "seconds": round(time.monotonic() - started, 3),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "steps_s": steps,
    }


def main() -> int:
    """Exit status 1 when a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=150)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.base is not None:
        print(json.dumps(measure(asked.base, asked.rows)))
        return 0
    with tempfile.TemporaryDirectory(prefix="history-scale-") as folder:
        fill(Path(folder), asked.runs, asked.rows)
        command = [sys.executable, "-m", "benchmarks.history_scale", "--base", folder]
        done = subprocess.run(
            [*command, "--rows", str(asked.rows)], capture_output=True, text=True, timeout=300
        )
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return 3
    outcome = {"runs": asked.runs, "rows": asked.rows, **json.loads(done.stdout.splitlines()[-1])}
    good = outcome["seconds"] <= LIMIT_S and outcome["peak_rss_bytes"] <= LIMIT_BYTES
    if asked.json:
        print(json.dumps(outcome))
    else:
        print(f"{asked.runs} runs of {asked.rows} rows: {outcome['seconds']:.2f} s (limit {LIMIT_S:g} s),")
        print(f"{outcome['peak_rss_bytes'] / 1024**2:.0f} MB at most (limit {LIMIT_BYTES / 1024**2:g} MB)")
        for name, seconds in outcome["steps_s"].items():
            print(f"  {seconds:6.3f} s  {name}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
