"""What the UI shows, asked for and clicked as a person does: the pages, and GraphQL for what ended."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import FloatRect, Locator, Page, expect

from hokusai_validation_tests.ui.serving import ROOT, Served

PICTURES = ROOT / "docs" / "pictures"
KEEP_VARIABLE = "HOKUSAI_KEEP_PICTURES"
LAUNCH_LIMIT_S = 120.0
RUN_LIMIT_S = 300.0
POLL_S = 0.25
ENDED = ("SUCCESS", "FAILURE", "CANCELED")

GRAPH_JOB = "__ASSET_JOB"  # Dagster's name for what is launched in the graph or the catalogue
LAUNCH = """mutation Launch($of: ExecutionParams!) { launchRun(executionParams: $of) {
  ... on LaunchRunSuccess { run { runId } } } }"""
TIMES = """query Times($run: ID!) { runOrError(runId: $run) { ... on Run { startTime endTime } } }"""
RUNS = "{ runsOrError { ... on Runs { results { runId status } } } }"
NODES = """{ assetNodes { assetKey { path } groupName kinds description hasAssetChecks
  owners { ... on TeamAssetOwner { team } } } }"""
CHECKS = """query Checks($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization {
    runId status evaluation { severity } } } } } } } }"""
MATERIALIZED = """query Materialized($run: ID!) { runOrError(runId: $run) { ... on Run {
  assetMaterializations { assetKey { path } } } } }"""
METADATA = """query Numbers($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset {
  assetMaterializations(limit: 1) { runId metadataEntries { label __typename } } } } }"""


@dataclass(frozen=True)
class Check:
    """The newest result of a check: `colour` as the UI shows it."""

    colour: str
    run_id: str


def keeping() -> bool:
    """Whether pictures for the docs are wanted."""
    return bool(os.environ.get(KEEP_VARIABLE))


def keep(page: Page, name: str, height: int | None = None) -> None:
    """Write a picture of the page, or of its top, for the docs, when that is wanted."""
    if keeping():
        page.mouse.move(0, 0)  # nothing is hovered over
        page.wait_for_load_state("networkidle")
        size = page.viewport_size
        assert size is not None
        top = FloatRect(x=0, y=0, width=size["width"], height=height or size["height"])
        page.screenshot(path=PICTURES / f"{name}.png", clip=top)


def runs(served: Served) -> dict[str, str]:
    """Run id to status, of all runs."""
    found = served.ask(RUNS)["runsOrError"]["results"]
    return {each["runId"]: each["status"] for each in found}


def launch(served: Served, target: str, *phases: str) -> str:
    """Launch phases as the graph does; the run's id."""
    selector = {
        "repositoryLocationName": "targets",
        "repositoryName": "__repository__",
        "pipelineName": GRAPH_JOB,
        "assetSelection": [{"path": [target, phase]} for phase in phases],
    }
    launched = served.ask(LAUNCH, of={"selector": selector, "mode": "default"})["launchRun"]
    return str(launched["run"]["runId"])


def time_of(served: Served, run: str) -> tuple[float, float]:
    """When a run that ended started and ended, in seconds since 1970."""
    times = served.ask(TIMES, run=run)["runOrError"]
    return times["startTime"], times["endTime"]


def await_new_run(served: Served, before: set[str]) -> tuple[str, str]:
    """The run that is there now and was not before, when it ended: its id and status."""
    [(run, status)] = await_new_runs(served, before, 1).items()
    return run, status


def await_new_runs(served: Served, before: set[str], count: int) -> dict[str, str]:
    """So many runs that are there now and were not before, when they ended: id to status."""
    begun = time.monotonic()
    new: dict[str, str] = {}
    while (waited := time.monotonic() - begun) < RUN_LIMIT_S:
        new = {run: status for run, status in runs(served).items() if run not in before}
        assert len(new) <= count, f"{count} were asked for, and {len(new)} came: {new}"
        assert new or waited < LAUNCH_LIMIT_S, f"No new run came within {LAUNCH_LIMIT_S:g} s"
        if len(new) == count and all(status in ENDED for status in new.values()):
            return new
        time.sleep(POLL_S)
    raise AssertionError(f"The new runs did not end within {RUN_LIMIT_S:g} s: {new}")


def checks(served: Served, target: str, phase: str) -> dict[str, Check]:
    """The checks of a phase by id (`H1`); those never executed are absent."""
    node = served.ask(CHECKS, key={"path": [target, phase]})["assetNodeOrError"]
    found = {}
    for each in node["assetChecksOrError"]["checks"]:
        execution = each["executionForLatestMaterialization"]
        if execution is not None:
            found[each["name"].partition("_")[0]] = Check(_colour(execution), execution["runId"])
    return found


def _colour(execution: dict[str, Any]) -> str:
    if execution["status"] == "SUCCEEDED":
        return "green"
    severity = (execution["evaluation"] or {}).get("severity")
    return {"ERROR": "red", "WARN": "yellow"}.get(str(severity), "none")


def numbers(served: Served, target: str, phase: str) -> tuple[str, set[str]]:
    """The run of a phase's newest materialization, and which of its metadata are numbers."""
    asset = served.ask(METADATA, key={"path": [target, phase]})["assetOrError"]
    newest = asset["assetMaterializations"][0]
    plotted = {
        each["label"]
        for each in newest["metadataEntries"]
        if each["__typename"] in ("IntMetadataEntry", "FloatMetadataEntry")
    }
    return newest["runId"], plotted


def materialized(served: Served, run: str) -> set[str]:
    """The phases that a run's events say it materialized."""
    of = served.ask(MATERIALIZED, run=run)["runOrError"]
    return {each["assetKey"]["path"][-1] for each in of["assetMaterializations"]}


def press(page: Page, button: Locator, *, asks: bool) -> None:
    """Press a button that launches a run. The UI asks whether one is sure where phases that are not
    selected never ran."""
    button.click()
    if asks:
        page.get_by_role("button", name="Confirm").click()


def open_job(page: Page, served: Served, job: str) -> Locator:
    """A job's page; the button that launches it."""
    page.set_viewport_size({"width": 1400, "height": 760})
    page.goto(f"{served.url}/locations/targets/jobs/{job}")
    return page.get_by_role("button", name="Materialize all")


def open_graph(page: Page, served: Served, target: str) -> Locator:
    """A target's asset graph, each phase a box in the colour of its state; the boxes."""
    page.set_viewport_size({"width": 1400, "height": 760})
    page.goto(f"{served.url}/locations/targets/asset-groups/{target}/lineage")
    boxes = page.locator("svg foreignObject", has=page.locator("[style*='--minimal-bg']"))
    expect(boxes).to_have_count(8)
    return boxes


def expect_colour(boxes: Locator, phase: str, colour: str) -> None:
    """Wait until a phase's box has a colour: `gray` (never materialized), `green` or `red`."""
    box = boxes.filter(has_text=phase)
    expect(box.locator(f"[style*='--minimal-bg: var(--color-background-{colour})']")).to_be_visible()


def open_run(page: Page, served: Served, run: str, status: str) -> None:
    """A run's page, with its steps and events."""
    page.set_viewport_size({"width": 1400, "height": 1600})
    page.goto(f"{served.url}/runs/{run}")
    expect(page.get_by_text(status, exact=True).first).to_be_visible()
    expect(page.get_by_text("RUN_FAILURE" if status == "Failure" else "RUN_SUCCESS")).to_be_visible()


def open_check(page: Page, served: Served, target: str, phase: str, check: str) -> Locator:
    """A check's page; what it says of the newest result, `Failed` or `Passed`."""
    page.set_viewport_size({"width": 1400, "height": 800})
    page.goto(f"{served.url}/assets/{target}/{phase}?view=checks&checkDetail={check}")
    return page.locator("xpath=//*[text()='Evaluation result']/..")


def select_phases(page: Page, served: Served, target: str, phases: tuple[str, ...]) -> Locator:
    """Tick phases in the catalogue; the button that materializes them."""
    page.set_viewport_size({"width": 1400, "height": 680})
    page.goto(f"{served.url}/assets")
    for phase in phases:
        box = page.get_by_test_id(f"checkbox-{target}/{phase}")
        page.locator("label", has=box).click()  # the input itself is hidden behind the box that is drawn
        expect(box).to_be_checked()
    return page.get_by_role("button", name="Materialize selected")


def report_of(served: Served, target: str) -> Path:
    """The newest report's folder."""
    return served.results / "reports" / target / "latest"
