"""`history` and `compare`, as typed."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from hokusai_validation.cli.history import compare, history
from hokusai_validation.diagnosis import RunSummary
from hokusai_validation.errors import UsageError
from hokusai_validation.store.results import ResultStore
from hokusai_validation_tests.diagnosis.rows import AT


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A target file, and a store with two runs of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOKUSAI_RESULTS", str(tmp_path / "results"))
    (tmp_path / "somewhere.toml").write_text('name = "somewhere"\n')
    store = ResultStore(tmp_path / "results")
    for number, (verdict, outcome) in enumerate((("healthy", "passed"), ("unhealthy", "failed"))):
        run = RunSummary(
            run_id=f"abcdef{number}-0000",
            at=AT + timedelta(days=number),
            verdict=verdict,
            scores={"test_success": 1.0 - number / 2},
            services={"api": not number},
            outcomes={"T::test_x": outcome},
        )
        store.add_summary("somewhere", run.run_id, run.at, run.model_dump(mode="json"))
    return tmp_path


def test_history_shows_runs_and_tests_that_were_not_always_good(place: Path) -> None:
    shown = CliRunner().invoke(history, ["somewhere.toml"], catch_exceptions=False, env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "unhealthy" in shown.output
    assert "T::test_x" in shown.output
    assert ".F" in shown.output
    assert "api 50%" in shown.output


def test_history_as_json_and_the_known_scores_once(place: Path) -> None:
    for _ in range(2):
        shown = CliRunner().invoke(
            history, ["somewhere.toml", "--json", "--import-known"], catch_exceptions=False
        )
    runs = json.loads(shown.output)
    assert [run["imported"] for run in runs] == [True, True, False, False]
    assert round(runs[0]["scores"]["infrastructure_health"], 3) == 0.545


@pytest.mark.parametrize(("one", "other"), [("abcdef0", "abcdef1"), ("last-1", "last")])
def test_compare_says_what_is_worse(place: Path, one: str, other: str) -> None:
    shown = CliRunner().invoke(
        compare, [one, other, "--target", "somewhere.toml", "--json"], catch_exceptions=False
    )
    document = json.loads(shown.output)
    assert (document["before"], document["after"]) == ("abcdef0-0000", "abcdef1-0000")
    assert {each["what"] for each in document["changes"] if each["worse"]} == {
        "verdict",
        "service api",
        "T::test_x",
        "score test_success",
    }
    table = CliRunner().invoke(compare, [one, other, "--target", "somewhere.toml"], env={"COLUMNS": "200"})
    assert "worse" in table.output


@pytest.mark.parametrize(("text", "says"), [("abcdef", "2 runs"), ("nobody", "no run"), ("last-9", "only 2")])
def test_a_run_that_is_not_meant_clearly_is_refused(place: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        CliRunner().invoke(compare, [text, "last", "--target", "somewhere.toml"], catch_exceptions=False)


def test_a_target_without_runs(place: Path) -> None:
    (place / "else.toml").write_text('name = "else"\n')
    with pytest.raises(UsageError, match="no runs"):
        CliRunner().invoke(history, ["else.toml"], catch_exceptions=False)
