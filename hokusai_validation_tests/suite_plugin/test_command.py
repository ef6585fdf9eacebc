"""`run_test_suite`: the suite without Dagster, and plain pytest, from any folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hokusai_validation.catalogue import entries
from hokusai_validation.result import Category

HOSTILE = "[pytest]\naddopts = --no-such-option\npython_files = nothing_*.py\n"


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": "--also-none"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "bare.toml"
    path.write_text('name = "bare"\n')
    (tmp_path / "pytest.ini").write_text(HOSTILE)
    return path


def test_json_alone_on_standard_output_whatever_the_folder_configures(tmp_path: Path, target: Path) -> None:
    done = command(
        tmp_path,
        *("-m", "hokusai_validation.run_test_suite", "--target", str(target), "--category", "unit", "--json"),
    )
    rows = json.loads(done.stdout)
    assert {row["test"] for row in rows} == {entry.test for entry in entries(Category.UNIT)}
    assert {row["status"] for row in rows} == {"skipped"}
    assert done.returncode == 3  # nothing could be judged
    assert "error" not in done.stderr.lower()


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (("--target", "nowhere"), 2, "Target 'nowhere' is not known"),
        (("--category", "nonsense"), 2, "Invalid value for '--category'"),
        (("-n", "99"), 2, "Invalid value for '-n'"),
        (("--rows", "no/such/folder/rows.jsonl", "--target", "bare.toml"), 2, "Rows can't be written"),
    ],
)
def test_wrong_usage_is_one_sentence_and_2(
    tmp_path: Path, target: Path, words: tuple[str, ...], status: int, text: str
) -> None:
    done = command(tmp_path, "-m", "hokusai_validation.run_test_suite", *words)
    assert done.returncode == status
    assert text in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


def test_plain_pytest_finds_the_suite_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "bare.toml").write_text('name = "bare"\n')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--pyargs", "hokusai_validation.suite"),
            *("--target=bare.toml", "--category=load", "--rows=rows.jsonl", "-q", "-p", "no:cacheprovider"),
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 9, done.stdout
    assert {row["category"] for row in rows} == {"load"}
