"""The UI as a person starts and uses it: where it listens, that the command line's runs show in it, and
that a phase which failed turns green when it is materialized again."""

import json
import re
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
# A pattern, not a function: the browser would have to ask us about every request of its own, also while
# we wait for a run to end.
ELSEWHERE = re.compile(rf"^(?!http://{re.escape(HOST)}:|data:|blob:)")
PHASES = {"environment", "discovery", "health", "functional", "load", "chaos", "aggregate", "report"}
LIGHT = {"environment", "discovery", "health", "aggregate", "report"}
AGAIN = ("health", "aggregate", "report")
CHECK = "I06_test_readiness_check_all_ready"


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
    with serving(folder, targets) as found:
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
    page.route(ELSEWHERE, lambda route: route.abort())
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
    # The second is that of the documents: the next one, where nobody has it.
    listening = served.listening()
    assert {host for host, _ in listening} == {HOST}
    assert (HOST, served.port) in listening
    assert len(listening) == 2


def test_the_phases_say_what_they_are(served: Served) -> None:
    nodes = {each["assetKey"]["path"][-1]: each for each in served.ask(seen.NODES)["assetNodes"]}
    assert set(nodes) == PHASES
    for node in nodes.values():
        assert node["assetKey"]["path"][0] == TARGET
        assert node["groupName"] == TARGET
        assert node["description"]
        assert node["kinds"]
        assert node["owners"]
        assert node["hasAssetChecks"]


def test_runs_of_one_target_wait_for_each_other_wherever_they_are_launched(served: Served) -> None:
    before = set(seen.runs(served))
    asked = {seen.launch(served, TARGET, "environment") for _ in range(2)}
    assert seen.await_new_runs(served, before, 2) == dict.fromkeys(asked, "SUCCESS")
    (_, ended), (started, _) = sorted(seen.time_of(served, run) for run in asked)
    assert ended <= started


def test_a_phase_that_failed_turns_green_when_it_is_materialized_again(
    served: Served, api: Gateway, page: Page
) -> None:
    # A run, launched while the target's database is gone. The light job takes half the time, but the
    # docs' pictures are of a whole one.
    api.break_database()
    before = set(seen.runs(served))
    job, ran = (f"{TARGET}_validate", PHASES) if seen.keeping() else (f"{TARGET}_light", LIGHT)
    seen.press(page, seen.open_job(page, served, job), asks=ran < PHASES)
    first, status = seen.await_new_run(served, before)
    assert status == "FAILURE"
    assert seen.materialized(served, first) == ran
    red = {name for name, check in seen.checks(served, TARGET, "health").items() if check.colour == "red"}
    assert red >= {"I01", "I06"}
    if seen.keeping():
        seen.open_run(page, served, first, "Failure")
        seen.keep(page, "ui-run", height=510)
        expect(seen.open_check(page, served, TARGET, "health", CHECK)).to_contain_text("Failed")
        seen.keep(page, "ui-check-failed")
    boxes = seen.open_graph(page, served, TARGET)
    assert set(boxes.all_text_contents()) == PHASES
    for phase in ran:
        seen.expect_colour(boxes, phase, "red" if phase in ("health", "report") else "green")
    seen.keep(page, "ui-graph-failed")

    # The target is mended, and what was red is ticked with what is made of it.
    api.mend()
    button = seen.select_phases(page, served, TARGET, AGAIN)
    expect(button).to_be_enabled()
    seen.keep(page, "ui-select")
    seen.press(page, button, asks=ran < PHASES)
    second, status = seen.await_new_run(served, before | {first})
    assert status == "SUCCESS"
    assert seen.materialized(served, second) == set(AGAIN)
    now = seen.checks(served, TARGET, "health")
    assert {name: now[name] for name in red} == {name: seen.Check("green", second) for name in red}
    expect(seen.open_check(page, served, TARGET, "health", CHECK)).to_contain_text("Passed")
    seen.keep(page, "ui-check-green")
    boxes = seen.open_graph(page, served, TARGET)
    for phase in ran:
        seen.expect_colour(boxes, phase, "green")
    seen.keep(page, "ui-graph-green")

    # The other phases were read back: the report names the run that each is from.
    report = json.loads((seen.report_of(served, TARGET) / "report.json").read_text())
    assert report["run_id"] == second
    sources = {each["phase"]: each["run_id"] for each in report["provenance"]["phases"]}
    read_back = ran - set(AGAIN)
    assert {phase: sources[phase] for phase in read_back} == dict.fromkeys(read_back, first)
    assert sources["health"] == second
    for row in report["results"]:
        if row["phase"] in ran:
            assert row["run_id"] == sources[row["phase"]]
