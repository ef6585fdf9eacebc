"""The commands that need no target that is up."""

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from hokusai_validation.catalogue import Entry, entries
from hokusai_validation.cli.explain import explain
from hokusai_validation.cli.init import FILES, init
from hokusai_validation.cli.report import report
from hokusai_validation.errors import UsageError
from hokusai_validation.target import read_target


def test_init_makes_a_folder_whose_target_can_be_read(tmp_path: Path) -> None:
    made = CliRunner().invoke(init, [str(tmp_path / "new")], standalone_mode=False)
    assert made.exit_code == 0, made.output
    assert all((tmp_path / "new" / name).is_file() for name in FILES)
    assert read_target(str(tmp_path / "new" / "targets" / "staging.toml")).name == "staging"


def test_init_writes_nothing_over(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    made = CliRunner().invoke(init, [str(tmp_path)], standalone_mode=False)
    assert isinstance(made.exception, UsageError)
    assert (tmp_path / "README.md").read_text() == "mine"
    assert not (tmp_path / "workspace.yaml").exists()


def test_the_instance_and_workspace_of_init_are_the_projects_own() -> None:
    root = Path(__file__).parents[2]
    templates = root / "hokusai_validation" / "cli" / "templates"
    assert (templates / "workspace.yaml").read_text() == (root / "workspace.yaml").read_text()
    assert (templates / "dagster.yaml").read_text() == (root / ".dagster" / "dagster.yaml").read_text()
    assert tomllib.loads((templates / "sandbox.toml").read_text())["name"] == "sandbox"


@pytest.mark.parametrize("entry", [entries()[0], entries()[-1]], ids=lambda entry: entry.id)
def test_explain_says_what_a_test_asks_by_id_and_by_name(entry: Entry) -> None:
    for text in (entry.id, entry.test):
        said = CliRunner().invoke(explain, [text], standalone_mode=False)
        assert said.exit_code == 0, said.output
        assert entry.says in said.output


def test_explain_names_the_candidates_of_a_word_that_many_tests_have() -> None:
    said = CliRunner().invoke(explain, ["health"], standalone_mode=False)
    assert isinstance(said.exception, UsageError)
    assert "Give an id" in str(said.exception)


def test_report_open_says_where_and_what_to_do_when_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOKUSAI_RESULTS", str(tmp_path))
    said = CliRunner().invoke(report, ["open", "development", "--print"], standalone_mode=False)
    assert isinstance(said.exception, UsageError)
    place = tmp_path / "reports" / "development" / "latest"
    place.mkdir(parents=True)
    (place / "report.html").write_text("<html>")
    said = CliRunner().invoke(report, ["open", "development", "--print"], standalone_mode=False)
    assert said.output.strip() == str(place / "report.html")
