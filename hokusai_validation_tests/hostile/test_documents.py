"""A whole run on a target that answers with markup: nothing of it is live in any document, nor on
the terminal."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hokusai_validation_tests.browser import chromium
from hokusai_validation_tests.hostile.server import hostile
from hokusai_validation_tests.hostile.test_suite import KEY, target_file
from hokusai_validation_tests.whole.running import WholeRun, run_whole

ALLOWED_CONTROLS = "\t\n\r"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeRun]:
    base = tmp_path_factory.mktemp("markup")
    with hostile("markup") as url:
        more = {"HOSTILE_KEY": KEY, "COLUMNS": "300"}
        phases = ("--phase", "environment", "--phase", "health")
        yield run_whole(base, target_file(base, url), *phases, more=more)


@pytest.fixture(scope="module")
def folder(ran: WholeRun) -> Path:
    return ran.results / "reports" / "hostile" / "latest"


def test_what_the_target_said_is_in_the_report(folder: Path) -> None:
    """Else the others would show nothing."""
    assert "onerror=alert(1)" in (folder / "report.json").read_text()
    assert "onerror=alert(1)" in (folder / "report.html").read_text()


@pytest.mark.browser
def test_the_page_runs_nothing_and_asks_nobody(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    assert text.count("<script>") == 1  # ours
    url = (folder.resolve() / "report.html").as_uri()
    trouble: list[str] = []
    with chromium() as browser:
        page = browser.new_page()
        page.on("dialog", lambda dialog: trouble.append(f"dialog {dialog.message}"))
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: trouble.append(request.url) if request.url != url else None)
        page.goto(url)
        page.get_by_role("button", name="Unfold all").click()
        live = page.evaluate(
            "document.querySelectorAll('img[src=x], [onerror], a[href^=\"javascript:\"]').length"
        )
        # The page was read by a browser, and the text is there as text.
        assert "onerror=alert(1)" in page.inner_text("body")
    assert (trouble, live) == ([], 0)


@pytest.mark.parametrize("suffix", [".md", ".csv", ".xml"])
def test_no_control_character_is_in_a_document(folder: Path, suffix: str) -> None:
    files = sorted(folder.glob(f"*{suffix}"))
    assert files
    assert [(file.name, found) for file in files if (found := _controls(file.read_text()))] == []


def test_markdown_carries_no_live_text(folder: Path) -> None:
    for file in folder.glob("*.md"):
        outside_code = re.sub(r"(?ms)^\s*(`{3,})\n.*?^\s*\1$", "", file.read_text())
        assert not re.search(r"(?<!\\)<(?:img|script|/script)", outside_code), file.name
        assert "](javascript" not in outside_code, file.name


def test_no_cell_is_a_formula(folder: Path) -> None:
    with (folder / "test_results.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) > 67
    numbers = re.compile(r"-?[0-9.]+(?:e[-+]?[0-9]+)?")
    live = [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    assert [cell for cell in live if not numbers.fullmatch(cell)] == []


def test_junit_is_one_document(folder: Path) -> None:
    tags = {element.tag for element in ElementTree.parse(folder / "junit.xml").iter()}
    assert not tags & {"img", "script"}


def test_the_terminal_gets_text_only(ran: WholeRun) -> None:
    assert "health" in ran.stdout
    assert _controls(ran.stdout + ran.stderr) == []


def _controls(text: str) -> list[str]:
    found = re.findall("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", text)
    return sorted({repr(each) for each in found if each not in ALLOWED_CONTROLS})
