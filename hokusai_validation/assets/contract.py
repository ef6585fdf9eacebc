"""The contract of the rows, as a Great Expectations suite: complete, unique, allowed values.

Great Expectations takes seconds to import, so that happens here, inside the function."""

import logging
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hokusai_validation.catalogue import entries
from hokusai_validation.result import Category, Phase, Status

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Checked:
    """What came of it. `broken` names the expectations that were not met, with what was seen."""

    success: bool
    evaluated: int
    broken: tuple[str, ...]


def check(frame: "pd.DataFrame", target: str) -> Checked:
    """Hold the rows of all phases to the contract. Nothing is sent anywhere and nothing is written."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        batch = (
            context.data_sources.add_pandas("rows")
            .add_dataframe_asset("results")
            .add_batch_definition_whole_dataframe("all")
            .get_batch(batch_parameters={"dataframe": frame})
        )
        outcome = batch.validate(expectations(gx, target))
    broken = tuple(
        f"{each.expectation_config.type} {_about(each)}" for each in outcome.results if not each.success
    )
    return Checked(bool(outcome.success), len(outcome.results), broken)


def expectations(gx: Any, target: str) -> Any:
    """The suite itself."""
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
        "test": names,
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


def _about(result: Any) -> str:
    column = result.expectation_config.kwargs.get("column", "")
    unexpected = str(result.result.get("partial_unexpected_list", ""))[:200]
    return f"{column} {unexpected}".strip()
