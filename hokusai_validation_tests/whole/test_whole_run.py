"""A whole run, from outside: what it prints, writes, keeps, and what it must never say."""

from pathlib import Path

import jsonschema
import pytest

from hokusai_sandbox.stack import Stack
from hokusai_validation.reporting import manifest
from hokusai_validation.reporting.folder import DOCUMENTS
from hokusai_validation.reporting.json_report import schema
from hokusai_validation_tests.whole.running import WholeRun, files_with

pytestmark = pytest.mark.sandbox


def test_the_report_on_standard_output_keeps_the_schema(whole_run: WholeRun) -> None:
    jsonschema.Draft202012Validator(schema()).validate(whole_run.report)
    assert whole_run.report["counts"]["catalogue"]["total"] == 67


def test_a_healthy_sandbox_has_every_unit_and_integration_row_passed(whole_run: WholeRun) -> None:
    rows = [row for row in whole_run.report["results"] if row["category"] in ("unit", "integration")]
    not_passed = [(row["id"], row["status"], row["message"]) for row in rows if row["status"] != "passed"]
    assert not_passed == []
    assert len(rows) == 46


def test_a_healthy_sandbox_has_no_finding(whole_run: WholeRun) -> None:
    assert [item["title"] for item in whole_run.report["findings"]] == []
    failed = [row for row in whole_run.report["results"] if row["status"] in ("failed", "broken")]
    assert [(row["id"], row["message"]) for row in failed] == []


def test_every_document_lies_in_the_folder_and_the_chain_holds(whole_run: WholeRun) -> None:
    folder = whole_run.results / "reports" / "sandbox"
    assert (folder / "latest").resolve().name == whole_run.report["run_id"]
    present = {path.name for path in (folder / "latest").iterdir()}
    assert {*DOCUMENTS, manifest.NAME, "run_output.log"} <= present
    assert [link.problems for link in manifest.chain(folder)] == [()]


def test_no_secret_is_written_anywhere(whole_run: WholeRun, sandbox: Stack) -> None:
    secrets = _secrets(sandbox)
    assert len(secrets) >= 4
    found = files_with((whole_run.results, whole_run.dagster_home), secrets)
    assert found == []


def test_no_secret_is_printed_or_stands_on_a_command_line(whole_run: WholeRun, sandbox: Stack) -> None:
    said = (whole_run.stdout + whole_run.stderr + "\n".join(whole_run.command_lines)).encode()
    assert [name for name, value in _secrets(sandbox).items() if value in said] == []
    assert any("run_test_suite" in line for line in whole_run.command_lines)


def _secrets(sandbox: Stack) -> dict[str, bytes]:
    """Every secret of the sandbox, from its own file."""
    folder = Path(sandbox.target_file).parent
    lines = (folder / "secrets.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    # A stand-in's access key is no secret, and too short to be told from words.
    return {name: value.encode() for name, _, value in pairs if len(value) >= 12}
