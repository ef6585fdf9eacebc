"""How often the diagnosis is right: `python -m benchmarks.detection [--scenario NAME]… [--clean N] [--json]`.

Starts a sandbox for each scenario, runs the phases that show it through the suite, diagnoses the
rows, and compares the findings with what `benchmarks/detection_cases.py` expects. The diagnosis sees
rows and the target's topology only. Without options: all scenarios, all pairs, 20 clean runs.

    --pairs        all pairs as well as the scenarios that are named
    --keep DIR     keep each run's rows (and target) there
    --again        don't run anything: diagnose the rows that lie in --keep DIR again
    --full         all light phases, whole, for every scenario (default: those that show it)
    --table FILE   also write the table as Markdown (docs/detection.md)
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.detection_cases import CASES, CLEAN_CATEGORIES, LIGHT, PAIRS, Case, Expected
from hokusai_validation.diagnosis import diagnose
from hokusai_validation.diagnosis.verdict import judge
from hokusai_validation.report import Finding, Verdict
from hokusai_validation.result import Category, Result
from hokusai_validation.runner.rows import read_rows
from hokusai_validation.runner.selection import SUITE_DIR
from hokusai_validation.target import Target, read_target

CLEAN_RUNS = 20
RUN_LIMIT_S = 400.0


@dataclass
class Outcome:
    """One scenario's row of the table. `cause_right`: the first finding is the expected cause at
    the expected component (with several causes: every one is found, and the first is one of them)."""

    scenario: str
    detected: bool = False
    component_right: bool = False
    cause_right: bool = False
    priority_right: bool = False
    expected: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    verdict: str = ""
    diagnosis_ms: float = 0.0
    seconds: float = 0.0
    error: str = ""


def judge_case(case: Case, rows: Sequence[Result], target: Target) -> Outcome:
    """What the diagnosis makes of a scenario's rows, against what is expected."""
    started = time.perf_counter()
    findings = diagnose(rows, target)
    outcome = Outcome(case.name, diagnosis_ms=round((time.perf_counter() - started) * 1000, 1))
    outcome.verdict = judge(rows, target).verdict.value
    outcome.expected = [f"{each.priority} {each.cause} @ {each.component}" for each in case.expected]
    outcome.found = [
        f"{finding.priority.value} {finding.cause.value} @ {finding.component}" for finding in findings
    ]
    outcome.detected = bool(findings) and outcome.verdict != Verdict.HEALTHY.value
    found = [_match(finding, case.expected) for finding in findings]
    matched = [expected for expected in found if expected is not None]
    first = findings[0] if findings else None
    complete = all(expected in matched for expected in case.expected)
    outcome.component_right = first is not None and any(
        first.component == expected.component for expected in case.expected
    )
    outcome.cause_right = bool(found) and found[0] is not None and complete
    outcome.priority_right = complete and all(
        expected is None or finding.priority.value == expected.priority
        for finding, expected in zip(findings, found, strict=True)
    )
    outcome.extra = [
        seen
        for seen, expected, finding in zip(outcome.found, found, findings, strict=True)
        if expected is None and finding.cause.value not in case.may_follow
    ]
    return outcome


def _match(finding: Finding, expected: Sequence[Expected]) -> Expected | None:
    return next(
        (
            each
            for each in expected
            if finding.cause.value in each.causes and finding.component in each.components
        ),
        None,
    )


def rows_of(
    target_file: Path, categories: Sequence[Category], rows_file: Path, only: str = ""
) -> tuple[Result, ...]:
    """Run the suite's categories against a target; `only` is pytest's `-k`.

    Raises RuntimeError when the suite gives no rows."""
    command = [sys.executable, "-m", "pytest", str(SUITE_DIR), "--rootdir", str(SUITE_DIR)]
    command += ["-c", str(SUITE_DIR / "pytest.ini"), "-p", "no:cacheprovider", "-q"]
    command += ["-p", "hokusai_validation.runner.plugin", f"--target={target_file}", f"--rows={rows_file}"]
    command += [f"--category={category.value}" for category in categories]
    command += ["-k", only] if only else []
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT_S, env=environment)
    rows = read_rows(rows_file)
    if not rows:
        raise RuntimeError(f"The suite gave no rows: {(done.stderr or done.stdout)[-500:]}")
    return rows


def run_case(case: Case, folder: Path, keep: Path | None, *, full: bool) -> Outcome:
    """Start the scenario's sandbox, run, diagnose, take it down."""
    from hokusai_sandbox.stack import Stack
    from hokusai_validation.errors import HokusaiError

    started = time.monotonic()
    place = keep or folder
    rows_file = place / f"{case.name}.jsonl"
    rows_file.unlink(missing_ok=True)
    try:
        with Stack.start(folder / "stack", None if case.scenario == "clean" else case.scenario) as stack:
            target = read_target(str(stack.target_file))
            (place / f"{case.name}.target.json").write_text(target.model_dump_json())
            categories = tuple(dict.fromkeys((*LIGHT, *case.categories))) if full else case.categories
            rows = rows_of(stack.target_file, categories, rows_file, "" if full else case.only)
        outcome = judge_case(case, rows, target)
    except (HokusaiError, RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        outcome = Outcome(case.name, error=f"{type(error).__name__}: {error}"[:500])
    outcome.seconds = round(time.monotonic() - started, 1)
    return outcome


def again(case: Case, keep: Path) -> Outcome:
    """Diagnose kept rows."""
    rows_file = keep / f"{case.name}.jsonl"
    if not rows_file.exists():
        return Outcome(case.name, error="no kept rows")
    target = Target.model_validate_json((keep / f"{case.name}.target.json").read_text())
    return judge_case(case, read_rows(rows_file), target)


def totals(outcomes: Sequence[Outcome], clean: Sequence[Outcome]) -> dict[str, Any]:
    """The counts that the goals are stated in."""
    pairs = [each for each in outcomes if "+" in each.scenario]
    return {
        "scenarios": len(outcomes),
        "detected": sum(each.detected for each in outcomes),
        "component_right": sum(each.component_right for each in outcomes),
        "cause_right": sum(each.cause_right for each in outcomes),
        "priority_right": sum(each.priority_right for each in outcomes),
        "extra_findings": sum(len(each.extra) for each in outcomes),
        "pairs": len(pairs),
        "pairs_told_apart": sum(each.cause_right for each in pairs),
        "clean_runs": sum(not each.error for each in clean),
        "false_findings": sum(len(each.found) for each in clean),
        "slowest_diagnosis_ms": max((each.diagnosis_ms for each in (*outcomes, *clean)), default=0.0),
        "errors": sum(bool(each.error) for each in (*outcomes, *clean)),
    }


def markdown(outcomes: Sequence[Outcome], clean: Sequence[Outcome]) -> str:
    """The table for the documentation."""
    lines = [
        "# How often the diagnosis is right",
        "",
        "Generated by `python -m benchmarks.detection --table docs/detection.md`. Each scenario is a sandbox with one",
        "realistic defect (two for a pair), started with `hokusai-validation sandbox up --scenario NAME`.",
        "",
        "| scenario | detected | component | cause first | priority | expected | found |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in outcomes:
        marks = (each.detected, each.component_right, each.cause_right, each.priority_right)
        lines.append(
            f"| `{each.scenario}` | {' | '.join('yes' if mark else '**no**' for mark in marks)} |"
            f" {'; '.join(each.expected)} | {'; '.join(each.found) or each.error or 'nothing'} |"
        )
    found = totals(outcomes, clean)
    lines += [
        "",
        f"{found['detected']} of {found['scenarios']} scenarios detected, {found['cause_right']} with the right cause"
        f" first ({found['cause_right'] / max(1, found['scenarios']):.1%}),"
        f" {found['pairs_told_apart']} of {found['pairs']} pairs told apart,"
        f" {found['extra_findings']} findings beyond the expected.",
        f"{found['clean_runs']} clean runs with {found['false_findings']} findings.",
        f"Slowest diagnosis: {found['slowest_diagnosis_ms']} ms.",
        "",
    ]
    return "\n".join(lines)


def chosen(asked: argparse.Namespace) -> tuple[list[Case], list[Case]]:
    """Scenarios (and pairs) to run, and clean runs."""
    known = {case.name: case for case in (*CASES, *PAIRS)}
    unknown = [name for name in asked.scenario if name not in known]
    if unknown:
        raise SystemExit(f"No such scenario: {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")
    cases = [known[name] for name in asked.scenario]
    if asked.pairs:
        cases += [case for case in PAIRS if case not in cases]
    number = asked.clean
    if not cases and number is None:
        cases, number = [*CASES, *PAIRS], CLEAN_RUNS
    clean = [Case(f"clean-{n + 1}", (), CLEAN_CATEGORIES, scenario_name="clean") for n in range(number or 0)]
    return cases, clean


def run_all(cases: Sequence[Case], asked: argparse.Namespace) -> Iterator[Outcome]:
    """One after the other, told on standard error as they come."""
    with tempfile.TemporaryDirectory(prefix="detection-") as folder:
        for case in cases:
            outcome = (
                again(case, asked.keep)
                if asked.again
                else run_case(case, Path(folder), asked.keep, full=asked.full)
            )
            word = "ok" if outcome.cause_right or (not case.expected and not outcome.found) else "WRONG"
            print(
                f"{word:5} {outcome.seconds:5.1f} s  {case.name}: {'; '.join(outcome.found) or '–'}"
                + (f"  (expected {'; '.join(outcome.expected)})" if word == "WRONG" else "")
                + (f"  {outcome.error}" if outcome.error else ""),
                file=sys.stderr,
                flush=True,
            )
            yield outcome


def main() -> int:
    """Exit status 1 when a goal is missed, 3 when something could not be run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenario", action="append", default=[], metavar="NAME")
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--clean", type=int, metavar="N")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="DIR")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--table", type=Path, metavar="FILE")
    asked = parser.parse_args()
    if asked.again and asked.keep is None:
        parser.error("--again needs --keep DIR")
    if asked.keep is not None:
        asked.keep.mkdir(parents=True, exist_ok=True)
    cases, clean_cases = chosen(asked)
    outcomes = list(run_all(cases, asked))
    clean = list(run_all(clean_cases, asked))
    counted = totals(outcomes, clean)
    if asked.table is not None:
        asked.table.write_text(markdown(outcomes, clean), encoding="utf-8")
    if asked.json:
        document = {
            "scenarios": [asdict(each) for each in outcomes],
            "clean": [asdict(each) for each in clean],
            "totals": counted,
        }
        print(json.dumps(document, indent=1))
    else:
        for name, value in counted.items():
            print(f"{name.replace('_', ' ')}: {value}")
    if counted["errors"]:
        return 3
    good = (
        counted["detected"] == len(outcomes)
        and counted["cause_right"] >= 0.95 * len(outcomes)
        and counted["false_findings"] == 0
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
