"""The contract of the rows, as a Great Expectations suite: complete, unique, allowed values.

Great Expectations takes seconds to import, so that happens here, inside the functions, with its
analytics off. Its Data Docs come as one page: as it renders them they load some eighteen scripts,
styles and pictures from seven places on the network (one picture with the time in its address), so
everything of that kind is taken out and a style sheet of a few lines put in."""

import importlib
import logging
import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hokusai_validation.catalogue import entries
from hokusai_validation.redaction import shown
from hokusai_validation.result import Category, Phase, Status

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

PAGE = "index.html"


@dataclass(frozen=True)
class Checked:
    """What came of it. `broken` names the expectations that were not met, with what was seen;
    `outcome` is Great Expectations' own result, for the Data Docs."""

    success: bool
    evaluated: int
    broken: tuple[str, ...]
    outcome: "ExpectationSuiteValidationResult"


def check(frame: "pd.DataFrame", target: str) -> Checked:
    """Hold the rows of all phases to the contract. Nothing is sent anywhere and nothing is written."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        rows = (
            context.data_sources.add_pandas("rows")
            .add_dataframe_asset("results")
            .add_batch_definition_whole_dataframe("all")
        )
        suite = context.suites.add(expectations(gx, target, _own_tests(frame)))
        definition = gx.ValidationDefinition(name="rows", data=rows, suite=suite)
        outcome = context.validation_definitions.add(definition).run(batch_parameters={"dataframe": frame})
    broken = tuple(_about(each) for each in outcome.results if not each.success)
    return Checked(bool(outcome.success), len(outcome.results), broken, outcome)


def write_docs(checked: Checked, folder: Path) -> Path:
    """Write the Data Docs' page of a check to `folder/index.html`; returns the folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

        views: Any = importlib.import_module("great_expectations.render.view")
        page = views.DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(checked.outcome))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(alone(page), encoding="utf-8")
    return folder


def expectations(gx: Any, target: str, own: Iterable[str] = ()) -> Any:
    """The suite itself; `own` are the tests that the target declares."""
    expect = gx.expectations
    names = [entry.test for entry in entries()]
    suite = gx.ExpectationSuite(name="rows")
    filled = ("run_id", "target", "phase", "category", "id", "test", "component", "status", "started_at")
    for column in filled:
        suite.add_expectation(expect.ExpectColumnValuesToNotBeNull(column=column))
    allowed: dict[str, list[Any]] = {
        "status": [each.value for each in Status],
        "phase": [each.value for each in Phase],
        "category": [each.value for each in Category],
        "target": [target],
        "test": [*names, *own],
        "attempt": [1, 2],
    }
    for column, values in allowed.items():
        suite.add_expectation(expect.ExpectColumnValuesToBeInSet(column=column, value_set=values))
    suite.add_expectation(
        expect.ExpectCompoundColumnsToBeUnique(column_list=["run_id", "phase", "test", "attempt"])
    )
    suite.add_expectation(expect.ExpectColumnValuesToBeBetween(column="duration_s", min_value=0))
    suite.add_expectation(expect.ExpectColumnDistinctValuesToContainSet(column="test", value_set=names))
    return suite


def _own_tests(frame: "pd.DataFrame") -> list[str]:
    return sorted(set(frame.loc[frame["category"] == Category.CHECK.value, "test"]))


def _about(result: "ExpectationValidationResult") -> str:
    config = result.expectation_config
    if config is None:
        return "an expectation without a name"
    column = config.kwargs.get("column", "")
    unexpected = shown(result.result.get("partial_unexpected_list", ""), 200)
    return f"{config.type} {column} {unexpected}".strip()


_STYLE = """<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<style>:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;
max-width:70rem;padding:0 1rem}table{border-collapse:collapse;margin:.5rem 0}td,th{border:1px solid
#8888;padding:.25rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}</style>"""

_TAKEN_OUT = (
    re.compile(r"<script\b.*?</script\s*>", re.IGNORECASE | re.DOTALL),
    re.compile(r"<(?:link|img|iframe|source)\b[^>]*>", re.IGNORECASE),
    re.compile(r"<(?:button|form)\b.*?</(?:button|form)\s*>", re.IGNORECASE | re.DOTALL),
    re.compile(r"@import[^;]*;|url\(\s*['\"]?https?:[^)]*\)", re.IGNORECASE),
    re.compile(r"\s(?:on\w+|srcset|background)\s*=\s*(?:\"[^\"]*\"|'[^']*')", re.IGNORECASE),
)


def alone(page: str) -> str:
    """The page without anything that it would load or run."""
    for pattern in _TAKEN_OUT:
        page = pattern.sub("", page)
    return re.sub(r"<head\b[^>]*>", lambda head: head.group(0) + _STYLE, page, count=1, flags=re.IGNORECASE)
