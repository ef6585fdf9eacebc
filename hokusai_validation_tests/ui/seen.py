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
RUN_LIMIT_S = 480.0
POLL_S = 0.25
ENDED = ("SUCCESS", "FAILURE", "CANCELED")

RUNS = "{ runsOrError { ... on Runs { results { runId status } } } }"
NODES = """{ assetNodes { assetKey { path } groupName kinds description hasAssetChecks
  owners { ... on TeamAssetOwner { team } } } }"""
CHECKS = """query Checks($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization {
    runId status evaluation { severity } } } } } } } }"""
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


def keep(page: Page, name: str, clip: FloatRect | None = None) -> None:
    """Write a picture for the docs, when that is wanted."""
    if keeping():
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"{name}.png", clip=clip)


def runs(served: Served) -> dict[str, str]:
    """Run id to status, of all runs."""
    found = served.ask(RUNS)["runsOrError"]["results"]
    return {each["runId"]: each["status"] for each in found}


def await_new_run(served: Served, before: set[str]) -> tuple[str, str]:
    """The run that is there now and was not before, when it ended: its id and status."""
    deadline = time.monotonic() + RUN_LIMIT_S
    while time.monotonic() < deadline:
        new = {run: status for run, status in runs(served).items() if run not in before}
        assert len(new) < 2, f"One run was asked for, and {len(new)} came: {new}"
        for run, status in new.items():
            if status in ENDED:
                return run, status
        time.sleep(POLL_S)
    raise AssertionError(f"No new run ended within {RUN_LIMIT_S:g} s: {runs(served)}")


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


def open_graph(page: Page, served: Served) -> Locator:
    """The asset graph, each phase with its state; the nodes."""
    page.set_viewport_size({"width": 2300, "height": 760})
    page.goto(f"{served.url}/asset-groups")
    nodes = page.locator("svg foreignObject")
    expect(nodes).to_have_count(8)
    page.get_by_role("button", name="Hide navigation").click()
    for each in range(8):
        expect(nodes.nth(each)).not_to_contain_text("Loading")
    return nodes


def shown_state(page: Page, served: Served, target: str, phase: str, check: str) -> Locator:
    """A check's line on the checks page of its phase: its name with `Failed` or `Succeeded`."""
    page.set_viewport_size({"width": 1600, "height": 1000})
    page.goto(f"{served.url}/assets/{target}/{phase}?view=checks&checkDetail={check}")
    states = "contains(., 'Failed') or contains(., 'Succeeded')"
    return page.locator(f"xpath=//*[text()='{check}']/ancestor::*[{states}][1]").first


def materialize_selected(page: Page, served: Served, target: str, phases: tuple[str, ...]) -> None:
    """Tick phases in the catalogue and press the button."""
    page.set_viewport_size({"width": 1600, "height": 1000})
    page.goto(f"{served.url}/assets")
    for phase in phases:
        link = f"//a[contains(@href, '/assets/{target}/{phase}')]"
        box = page.locator(f"xpath={link}/ancestor::*[.//input[@type='checkbox']][1]//input").first
        box.check(force=True)
    page.get_by_role("button", name="Materialize selected").click()


def report_of(served: Served, target: str) -> Path:
    """The newest report's folder."""
    return served.results / "reports" / target / "latest"
