"""`report.html` in headless Chromium: usable by mouse, keyboard, screen reader, phone and printer."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from pydantic import JsonValue

from hokusai_validation.catalogue import find
from hokusai_validation.report import Report
from hokusai_validation.reporting import html_report, wall
from hokusai_validation_tests.browser import chromium
from hokusai_validation_tests.reporting.sample import report

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
KEEP_VARIABLE = "HOKUSAI_PICTURED_REPORT"  # a report.json
PAST = {
    "shop": [
        wall.PastRun(
            run_id=f"run-{number}",
            at=report().started_at,
            verdict=verdict,
            scores={"test_success": 0.9},
            outcomes={"T::a": "failed" if number else "passed"},
            p95_ms={"T::load": 120.0 + number},
            open_causes=[wall.OpenCause("redis:process_down", report().started_at, number)],
        )
        for number, verdict in enumerate(("healthy", "degraded", "unhealthy"))
    ]
}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(html_report.render(report()))
    return path.as_uri()


@pytest.fixture
def page(browser: Browser, file: str) -> Iterator[Page]:
    """The report, opened; every console message and every request beyond the file is an error."""
    page = browser.new_page()
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("dialog", lambda dialog: trouble.append(f"dialog {dialog.message}"))
    page.on("request", lambda request: trouble.append(request.url) if not _own(request.url, file) else None)
    page.goto(file)
    yield page
    page.close()
    assert trouble == []


def _own(url: str, file: str) -> bool:
    return url == file or url.startswith("data:")


def visible_rows(page: Page, table: str = "catalogue-tests") -> int:
    return page.locator(f"#{table} tbody tr:visible").count()


def test_the_filter_shows_only_what_was_asked_for(page: Page) -> None:
    assert visible_rows(page) == 67
    box = page.locator("[data-filter-for=catalogue-tests]")
    for status in ("passed", "broken", "skipped"):
        box.get_by_label(status).uncheck()
    of_catalogue = [row for row in report().results if (entry := find(row.test)) and entry.in_catalogue]
    failed = sum(row.status == "failed" for row in of_catalogue)
    assert visible_rows(page) == failed
    box.get_by_role("searchbox").fill("test_initial_state")
    assert visible_rows(page) <= 1
    assert "of 67 shown" in box.locator("output").inner_text()


def test_evidence_is_folded_away_and_unfolds(page: Page) -> None:
    assert page.locator("details[open]").count() == 0
    page.get_by_role("button", name="Unfold all").click()
    assert page.locator("details:not([open])").count() == 0
    page.get_by_role("button", name="Fold all", exact=True).click()
    assert page.locator("details[open]").count() == 0


def test_the_keyboard_reaches_the_content_and_the_filter(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "search":
            return
    raise AssertionError("60 tabs did not reach the search field")


@dataclass(frozen=True)
class Way:
    """A way to look at the page: CSS pixels that it has, how many of the screen's each is, colours, paper."""

    width: int = 1280
    height: int = 800
    scale: float = 1.0
    dark: bool = False
    printed: bool = False


WAYS = {
    "desktop": Way(),
    "dark": Way(dark=True),
    "phone": Way(360, 740, 2.0),
    "print": Way(794, 1123, printed=True),  # A4 at 96 dpi
    "zoomed to 200 %": Way(640, 400, 2.0),
}


@contextmanager
def looked_at(browser: Browser, file: str, way: Way) -> Iterator[Page]:
    """The page in that way."""
    context = browser.new_context(
        bypass_csp=True,  # axe puts its own script into the page, which the page's policy would refuse
        color_scheme="dark" if way.dark else "light",
        viewport={"width": way.width, "height": way.height},
        device_scale_factor=way.scale,
    )
    page = context.new_page()
    page.goto(file)
    if way.printed:
        page.emulate_media(media="print")
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    yield page
    context.close()


@pytest.mark.parametrize(
    ("document", "way"),
    [
        *(("all targets", way) for way in WAYS),
        *(("report", way) for way in ("desktop", "dark")),
        *(
            pytest.param("report", way, marks=pytest.mark.soak)
            for way in ("phone", "print", "zoomed to 200 %")
        ),
    ],
)
def test_axe_finds_no_fault(browser: Browser, file: str, tmp_path: Path, way: str, document: str) -> None:
    if document == "all targets":
        (tmp_path / "index.html").write_bytes(wall.render(PAST, report().finished_at))
        file = (tmp_path / "index.html").as_uri()
    with looked_at(browser, file, WAYS[way]) as page:
        if document == "report" and not WAYS[way].printed:
            page.get_by_role("button", name="Unfold all").click()
        found = Axe().run(page).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= WAYS[way].width


@pytest.mark.skipif(
    KEEP_VARIABLE not in os.environ, reason=f"{KEEP_VARIABLE} names no report.json to picture"
)
@pytest.mark.parametrize("way", WAYS)
def test_pictures_of_a_report_are_made_anew(browser: Browser, tmp_path: Path, way: str) -> None:
    made = Report.model_validate_json(Path(os.environ[KEEP_VARIABLE]).read_bytes())
    page_file = tmp_path / "report.html"
    page_file.write_bytes(html_report.render(made))
    with looked_at(browser, page_file.as_uri(), WAYS[way]) as page:
        assert Axe().run(page).response["violations"] == []
        page.screenshot(path=PICTURES / f"report-{way.partition(' ')[0]}.png")


def test_a_phone_needs_no_sideways_scrolling(browser: Browser, file: str) -> None:
    with looked_at(browser, file, WAYS["phone"]) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= WAYS["phone"].width


_FREE_TEXT = frozenset(
    {"message", "pattern", "title", "summary", "seen", "why", "text", "reason", "commands", "remedy"}
)


def _longer(value: JsonValue, key: str = "") -> JsonValue:
    """The same, each text that somebody wrote freely with a word in it that no line holds."""
    if isinstance(value, dict):
        return {name: _longer(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_longer(each, key) for each in value]
    return (
        f"{value} https://host/{'x' * 300}"
        if isinstance(value, str) and value and key in _FREE_TEXT
        else value
    )


def test_no_word_is_too_long_for_a_phone(browser: Browser, tmp_path: Path) -> None:
    made = Report.model_validate(_longer(report().model_dump(mode="json")))
    (tmp_path / "report.html").write_bytes(html_report.render(made))
    with looked_at(browser, (tmp_path / "report.html").as_uri(), WAYS["phone"]) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= WAYS["phone"].width


def test_dark_and_light_differ(browser: Browser, file: str) -> None:
    colours = []
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
        page.goto(file)
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert colours[0] != colours[1]


def test_print_unfolds_everything_and_hides_the_controls(page: Page) -> None:
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert page.locator("nav").is_hidden()
    assert page.locator(".filters").first.is_hidden()


def test_hostile_text_of_a_target_does_nothing(page: Page) -> None:
    assert page.locator("script").count() == 1
    assert page.locator("a[href^='javascript']").count() == 0
    assert "<script>alert(1)</script>" in page.locator("header").inner_text()
