"""A stack of twelve services of other names, without MLflow: its checks give rows, causes and a verdict."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hokusai_validation.diagnosis import assemble
from hokusai_validation.phase_rows import PhaseRows
from hokusai_validation.report import Cause, Report, Verdict
from hokusai_validation.result import CATALOGUE_CATEGORIES, Category, Phase, Status, now
from hokusai_validation.store.record import read_file
from hokusai_validation.target import Target, read_target
from hokusai_validation_tests.declared.services import SHOP, shop, target_text


def ran(folder: Path, text: str) -> tuple[Target, Report, int]:
    """The suite's rows of a target file, folded into its report; the suite's exit status."""
    path = folder / "shop.toml"
    path.write_text(text, encoding="utf-8")
    rows = folder / "rows.jsonl"
    rows.unlink(missing_ok=True)
    words = [sys.executable, "-m", "hokusai_validation.run_test_suite", "--target", str(path)]
    done = subprocess.run(
        [*words, "--rows", str(rows)], env=dict(os.environ), capture_output=True, timeout=300, check=False
    )
    results = read_file(rows).rows
    target, at = read_target(str(path)), now()
    phases = [
        PhaseRows(phase=phase, run_id="r1", results=tuple(row for row in results if row.phase is phase))
        for phase in Phase
    ]
    report = assemble(run_id="r1", target=target, phases=phases, started_at=at, finished_at=at)
    return target, report, done.returncode


def test_all_well(tmp_path: Path) -> None:
    with shop() as services:
        _, report, status = ran(tmp_path, target_text(services))
    own = [row for row in report.results if row.category is Category.CHECK]
    assert {row.component for row in own} == set(SHOP)
    assert all(row.status is Status.PASSED and row.observations for row in own)
    of_catalogue = [row for row in report.results if row.category in CATALOGUE_CATEGORIES]
    assert len(of_catalogue) == 67
    assert {row.status for row in of_catalogue} == {Status.SKIPPED}
    assert report.verdict is Verdict.HEALTHY, report.reasons
    assert "12 of 12 checks of its own passed" in report.headline
    assert "do not apply" in report.headline
    assert status == 0
    assert {node.name for node in report.stack} == set(SHOP)


@pytest.mark.parametrize("closed", ["ledger", "sessions", "search"])
def test_a_closed_service_is_the_one_cause(closed: str, tmp_path: Path) -> None:
    with shop(closed=closed) as services:
        _, report, status = ran(tmp_path, target_text(services))
    assert report.verdict is Verdict.UNHEALTHY
    assert status == 1
    assert [(each.component, each.cause) for each in report.findings] == [(closed, Cause.PROCESS_DOWN)]
    failed = {row.test for row in report.results if row.status is Status.FAILED}
    assert set(report.findings[0].explains) == failed


def test_a_wrong_answer_is_the_services_own(tmp_path: Path) -> None:
    with shop(wrong="mailer") as services:
        _, report, status = ran(tmp_path, target_text(services))
    assert report.verdict is Verdict.DEGRADED
    assert [each.component for each in report.findings] == ["mailer"]
    assert "`state` is 'odd', expected 'up'" in next(
        row.message for row in report.results if row.status is Status.FAILED
    )
    assert status == 0


def test_without_any_check_nothing_is_judged(tmp_path: Path) -> None:
    _, report, status = ran(tmp_path, target_text((), checks=False))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert any("no [[checks]]" in reason.text for reason in report.reasons)
    assert status == 3
