"""What goes wrong on our own machine is said in one sentence and is never a verdict (status 1)."""

import sqlite3
from pathlib import Path

import pytest

from hokusai_validation.result import Phase
from hokusai_validation.store.results import ResultStore
from hokusai_validation_tests.cli.test_bad_input import GOOD
from hokusai_validation_tests.cli.typed import typed


def results_is_a_file(folder: Path) -> None:
    (folder / "results").write_text("not a folder")


def dagster_home_is_a_file(folder: Path) -> None:
    (folder / "home").write_text("not a folder")


def dagster_home_is_no_database(folder: Path) -> None:
    (folder / "home" / "history").mkdir(parents=True)
    (folder / "home" / "history" / "runs.db").write_bytes(b"no database at all" * 100)


def dagster_settings_are_nonsense(folder: Path) -> None:
    (folder / "home").mkdir()
    (folder / "home" / "dagster.yaml").write_text("nonsense: [\n")


def rows_are_damaged(folder: Path) -> None:
    place = folder / "results" / "rows" / "target=stub" / "run_id=r"
    place.mkdir(parents=True)
    for phase in ("environment", "health"):
        (place / f"{phase}.parquet").write_bytes(b"no parquet")
    runs = folder / "results" / "runs" / "stub"
    runs.mkdir(parents=True)
    (runs / "20260101T000000000000Z_r.json").write_text(
        '{"run_id":"r","target":"stub","started_at":"2026-01-01T00:00:00Z","asked":["environment","health"]}'
    )


@pytest.mark.parametrize(
    "damage",
    [
        results_is_a_file,
        dagster_home_is_a_file,
        dagster_home_is_no_database,
        dagster_settings_are_nonsense,
    ],
    ids=lambda damage: damage.__name__,
)
def test_it_is_one_sentence_and_no_verdict(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    damage(tmp_path)
    (tmp_path / "t.toml").write_text(GOOD)
    done = typed(tmp_path, "run", "t.toml", "--phase", "environment")
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1


def test_damaged_rows_count_as_none(tmp_path: Path) -> None:
    """`--failed` then runs their phases again."""
    rows_are_damaged(tmp_path)
    assert ResultStore(tmp_path / "results").newest("stub", Phase.HEALTH).results == ()


def test_what_nobody_foresaw_is_no_verdict_either(monkeypatch: pytest.MonkeyPatch) -> None:
    from hokusai_validation import cli

    def broken(**_: object) -> None:
        raise sqlite3.DatabaseError("malformed")

    monkeypatch.setattr(cli.cli, "main", broken)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 3
