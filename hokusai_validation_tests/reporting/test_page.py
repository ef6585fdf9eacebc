"""`report.html` in headless Chromium: usable by mouse, keyboard, screen reader, phone and printer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from hokusai_validation.catalogue import find
from hokusai_validation.reporting import html_report
from hokusai_validation_tests.browser import chromium
from hokusai_validation_tests.reporting.sample import report

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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser: Browser, file: str, scheme: str) -> None:
    page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    # axe puts its own script into the page, which the page's policy would refuse.
    context = browser.new_context(bypass_csp=True, color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    page.goto(file)
    page.get_by_role("button", name="Unfold all").click()
    found = Axe().run(page).response["violations"]
    context.close()
    serious = [
        (item["id"], item["nodes"][0]["html"][:200])
        for item in found
        if item["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_a_phone_needs_no_sideways_scrolling(browser: Browser, file: str) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(file)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


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
