"""What a person sees in a terminal: 80 columns, no colour where none is wanted, completion, how much is told."""

import io
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from hokusai_validation.assets.progress import Event
from hokusai_validation.cli.history import _changes_table, _runs_table, _scores_table, _tests_table, sparkline
from hokusai_validation.cli.progress_view import ProgressView, Shown
from hokusai_validation.diagnosis.history import RunSummary
from hokusai_validation.report import Change
from hokusai_validation.result import Progress, Status

AT = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)


def line(test: str, status: Status, attempt: int = 1, message: str = "") -> Event:
    """A test that ended."""
    return Event(
        "health",
        row=Progress(id="H01", test=test, status=status, attempt=attempt, duration_s=0.5, message=message),
    )


def told(shown: Shown, *events: Event, terminal: bool = False) -> list[str]:
    """The lines that a phase of these tests prints."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, no_color=True, width=80, soft_wrap=True)
    view = ProgressView(console, shown=shown)
    for event in (Event("health", begun=True, expected=3), *events, Event("health", seconds=1.0)):
        view._hear(event)
    return out.getvalue().splitlines()


def test_good_tests_are_no_news() -> None:
    assert told(Shown.NOT_GOOD, line("T::a", Status.PASSED), line("T::b", Status.SKIPPED)) == [
        "health: 3 tests"
    ]
    assert len(told(Shown.ALL, line("T::a", Status.PASSED), line("T::b", Status.SKIPPED))) == 3
    assert told(Shown.NOTHING, line("T::a", Status.FAILED)) == []


@pytest.mark.parametrize("terminal", [True, False])
def test_both_attempts_stand_in_one_line(terminal: bool) -> None:
    lines = told(
        Shown.NOT_GOOD,
        line("T::a", Status.FAILED, message="answered 503"),
        line("T::a", Status.PASSED, attempt=2),
        terminal=terminal,
    )
    found = [each for each in lines if "T::a" in each]
    assert len(found) == 1
    assert "failed, then passed at its second attempt: answered 503" in found[0]


def test_a_failure_without_a_second_attempt_is_told_at_the_phases_end() -> None:
    lines = told(Shown.NOT_GOOD, line("T::a", Status.FAILED, message="answered 503"))
    assert [each for each in lines if "answered 503" in each]


def test_history_is_whole_at_80_columns() -> None:
    scores = dict.fromkeys(
        ("infrastructure_health", "service_availability", "execution_completion", "test_success"), 1.0
    ) | {"registration_success": 0.5}
    runs = [
        RunSummary(
            run_id=f"{number:08d}-7f3c-4c7e-a5f4-000000000000",
            at=AT + timedelta(hours=number),
            verdict="inconclusive",
            scores=scores,
            outcomes={"TestACategoryWithALongName::test_something_of_it[with_a_case_of_its_own]": "failed"},
        )
        for number in range(20)
    ]
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=False)
    for table in (_runs_table("a-target-with-a-long-name", runs), _scores_table(runs), _tests_table(runs)):
        console.print(table)
    text = out.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert "inconclusive" in text
    assert "26-11-28 06:00" in text


def test_a_comparison_is_whole_at_80_columns() -> None:
    one, other = (RunSummary(run_id=name * 8, at=AT, verdict="healthy") for name in "ab")
    change = Change(
        what="TestACategoryWithALongName::test_something_of_it[with_a_case_of_its_own]",
        before="failed",
        after="passed",
        worse=False,
        significant=False,
        test="Fisher's exact test, p = 0.00018",
        effect=0.06,
    )
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=False).print(_changes_table(one, other, [change]))
    text = out.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert "TestACategoryWithALongName::test" in text


def test_a_sparkline_has_a_bar_a_run() -> None:
    assert sparkline([0.0, None, 0.5, 1.0]) == "▁ ▅█"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(shell: str) -> None:
    done = cli("completion", shell)
    assert "_HOKUSAI_VALIDATION_COMPLETE" in done.stdout


def test_targets_are_completed(tmp_path: Path) -> None:
    (tmp_path / "staging.toml").write_text('name = "staging"\n', encoding="utf-8")
    done = cli(
        _HOKUSAI_VALIDATION_COMPLETE="bash_complete",
        COMP_WORDS="hokusai-validation run st",
        COMP_CWORD="2",
        HOKUSAI_TARGETS_DIR=str(tmp_path),
    )
    assert "staging" in done.stdout


def cli(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The installed command."""
    program = Path(sys.executable).with_name("hokusai-validation")
    return subprocess.run(
        [str(program), *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("given", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)]
)
def test_no_colour_where_the_environment_wants_none(
    given: dict[str, str], coloured: bool, tmp_path: Path
) -> None:
    """https://no-color.org: present and not empty, whatever its value."""
    kept = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "TERM")
    }
    controller, terminal = os.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", SHOWN],
            env={**kept, "TERM": "xterm-256color", "COLUMNS": "80", **given},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
        )
        os.close(terminal)
        text = b""
        while True:
            try:
                part = os.read(controller, 65536)
            except OSError:  # how a terminal whose other end is closed ends on Linux
                break
            if not part:
                break
            text += part
        assert process.wait(60) == 0, text
    finally:
        os.close(controller)
    assert b"UNHEALTHY" in text
    assert (re.search(rb"\x1b\[[0-9;]*3[0-7]m", text) is not None) is coloured


SHOWN = """
from rich.console import Console
from hokusai_validation.cli.verdict_view import show_briefly
from hokusai_validation.report import Verdict
from hokusai_validation_tests.reporting.sample import report
show_briefly(Console(), report().model_copy(update={"verdict": Verdict.UNHEALTHY}), "results")
"""
