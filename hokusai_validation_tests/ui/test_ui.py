"""The UI as a person starts it: where it listens, and that the command line's runs show in it."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from hokusai_validation_tests.browser import chromium
from hokusai_validation_tests.ui import seen
from hokusai_validation_tests.ui.gateway import Gateway, gateway
from hokusai_validation_tests.ui.serving import HOST, Served, serving

pytestmark = pytest.mark.browser

TARGET = "staging"
COMMAND_LIMIT_S = 180.0


@pytest.fixture(scope="module")
def api() -> Iterator[Gateway]:
    with gateway() as found:
        yield found


@pytest.fixture(scope="module")
def served(api: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("ui")
    targets = folder / "targets"
    targets.mkdir()
    api.target_file(targets, TARGET)
    with serving(folder, targets, TARGET) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that reaches loopback only, and waits as long as a busy machine needs."""
    expect.set_options(timeout=60_000)
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.route(
        lambda url: not url.startswith((f"http://{HOST}:", "data:", "blob:")), lambda route: route.abort()
    )
    yield page
    page.close()


def test_a_run_of_the_command_line_shows_and_its_numbers_are_plotted(served: Served, page: Page) -> None:
    told = served.command("run", TARGET, "--phase", "environment", "--json", limit_s=COMMAND_LIMIT_S)
    assert told.returncode in (0, 1, 3), told.stderr
    run = json.loads(told.stdout)["run_id"]
    assert run in seen.runs(served)
    of, plotted = seen.numbers(served, TARGET, "environment")
    assert of == run
    assert {"passed", "failed", "broken", "skipped", "test_success", "duration_s", "wall_s"} <= plotted
    page.goto(f"{served.url}/runs")
    page.locator(f"a[href*='/runs/{run}']").first.wait_for()
    page.goto(f"{served.url}/assets/{TARGET}/environment")
    page.get_by_role("button", name="Plots").click()
    page.locator("canvas").first.wait_for()


def test_it_listens_on_loopback_only(served: Served) -> None:
    assert served.listening() == {(HOST, served.port)}
