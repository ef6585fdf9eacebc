"""Every format: whole, parseable, and harmless with hostile text."""

import csv
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.errors import ReportNotWritten
from hokusai_validation.reporting import (
    escape,
    html_report,
    json_report,
    junit,
    manifest,
    markdown_pages,
    table,
    write,
)
from hokusai_validation.reporting.folder import DOCUMENTS
from hokusai_validation.result import Phase, Status, from_frame
from hokusai_validation_tests.reporting.sample import HOSTILE, report

MARKDOWN = [
    markdown_pages.health_report,
    markdown_pages.working_services,
    markdown_pages.failing_services,
    markdown_pages.handoff,
]


def test_the_schema_in_the_package_is_the_models() -> None:
    assert json_report.schema() == json_report.make_schema()


def test_json_is_the_whole_report() -> None:
    values = json.loads(json_report.render(report()))
    jsonschema.Draft202012Validator(json_report.schema()).validate(values)
    assert values["schema_version"] == 1
    assert values["counts"]["catalogue"]["total"] == 67
    assert {"verdict", "scores", "results", "findings", "performance", "trend", "provenance"} <= values.keys()


def test_junit_counts_every_outcome() -> None:
    root = ET.fromstring(junit.render(report()))
    rows = report().results
    assert len(root.findall(".//testcase")) == len(rows)
    for tag, status in (("failure", Status.FAILED), ("error", Status.BROKEN), ("skipped", Status.SKIPPED)):
        assert len(root.findall(f".//{tag}")) == sum(row.status is status for row in rows)


def test_parquet_is_read_back_as_the_same_rows(tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / "rows.parquet"
    path.write_bytes(table.render_parquet(report()))
    assert from_frame(pd.read_parquet(path)) == report().results


def test_no_csv_cell_is_a_formula() -> None:
    rows = list(csv.reader(io.StringIO(table.render_csv(report()).decode())))
    assert len(rows) == len(report().results) + 1
    assert not [cell for row in rows for cell in row if cell.lstrip().startswith(("=", "+", "@"))]


@given(st.text())
def test_csv_cells_never_calculate(text: str) -> None:
    assert not escape.csv_cell(text).lstrip().startswith(("=", "+", "-", "@"))


@given(st.text())
def test_markdown_text_opens_no_markup(text: str) -> None:
    shown = escape.markdown(text)
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)(?:\\\\)*[<|`*\[]", shown)


@given(st.text())
def test_code_blocks_close_only_at_their_end(text: str) -> None:
    lines = escape.code_block(text).split("\n")
    fence = lines[0]
    assert fence == lines[-1]
    assert not [line for line in lines[1:-1] if line.strip().startswith(fence)]


@given(st.text())
def test_no_control_character_reaches_a_terminal(text: str) -> None:
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", escape.terminal(text))


@pytest.mark.parametrize("render", MARKDOWN)
def test_markdown_carries_no_live_hostile_text(render) -> None:  # type: ignore[no-untyped-def]
    text = render(report()).decode()
    outside_code = re.sub(r"(?ms)^\s*(`{3,})\n.*?^\s*\1$", "", text)
    assert "<script>" not in outside_code
    assert "](javascript" not in outside_code
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_html_escapes_what_a_target_said_and_loads_nothing() -> None:
    page = html_report.render(report()).decode()
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert page.count("<script>") == 1
    assert "default-src 'none'" in page
    assert not re.search(r"(?:src|href)=[\"'](?!#|data:)", page)
    assert len(page) < 2_000_000


def test_a_report_folder_is_whole_and_latest_points_at_it(tmp_path: Path) -> None:
    folder = Path(write(report(), tmp_path, run_output="line"))
    assert folder == tmp_path / "sandbox" / report().run_id
    assert {path.name for path in folder.iterdir()} == {*DOCUMENTS, "run_output.log", manifest.NAME}
    assert (tmp_path / "sandbox" / "latest").resolve() == folder
    assert [path.name for path in (tmp_path / "sandbox").iterdir() if path.name.startswith(".")] == []


def test_nothing_half_written_stays_behind(tmp_path: Path) -> None:
    blocked = tmp_path / "sandbox"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(ReportNotWritten, match="could not be written"):
        write(report(), tmp_path)
    assert blocked.read_text() == "a file where the folder should be"


def test_a_full_disk_leaves_the_last_report_alone(tmp_path: Path) -> None:
    first = Path(write(report(), tmp_path))
    later = report().model_copy(update={"run_id": "later"})
    import hokusai_validation.reporting.folder as folder_module

    def full(_: object) -> bytes:
        raise OSError(28, "No space left on device")

    documents = {**DOCUMENTS, "handoff.md": full}
    original, folder_module.DOCUMENTS = folder_module.DOCUMENTS, documents
    try:
        with pytest.raises(ReportNotWritten, match="No space left on device"):
            write(later, tmp_path)
    finally:
        folder_module.DOCUMENTS = original
    assert {path.name for path in (tmp_path / "sandbox").iterdir()} == {first.name, "latest"}


def test_the_chain_of_reports_is_verified(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        write(report().model_copy(update={"run_id": name}), tmp_path)
    links = manifest.chain(tmp_path / "sandbox")
    assert [(link.folder.name, link.problems) for link in links] == [("three", ()), ("two", ()), ("one", ())]
    (tmp_path / "sandbox" / "two" / "handoff.md").write_text("better news")
    (tmp_path / "sandbox" / "one" / manifest.NAME).write_text("{}")
    found = {link.folder.name: link.problems for link in manifest.chain(tmp_path / "sandbox")}
    assert found["two"] == ("handoff.md was changed",)
    assert found["one"]


def test_a_report_goes_to_a_bucket_whole() -> None:
    from upath import UPath

    base = UPath("memory://reports")
    write(report(), base)
    place = base / "sandbox" / report().run_id
    names = {path.name for path in place.iterdir()}
    assert names == {path.name for path in (base / "sandbox" / "latest").iterdir()}
    assert {*DOCUMENTS, manifest.NAME} <= names


def test_what_went_wrong_on_the_rows_way_and_with_which_target_stands_in_the_documents() -> None:
    for render in (markdown_pages.health_report, html_report.render):
        text = render(report()).decode()
        assert "went wrong on the rows" in text
        assert text.count("ended: ") == len(Phase)
        assert text.count("0123456789ab") == len(Phase)


def test_hostile_text_is_hostile() -> None:
    assert "<script>" in HOSTILE
    assert "\x1b" in HOSTILE
