"""MLflow's database schema: as this package's own MLflow makes it, and the part that every version
has. Read from files; MLflow itself is not imported (it takes a second)."""

import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hokusai_validation.runner.timelimit import not_counted

if TYPE_CHECKING:
    import pandas as pd

# Of tables that MLflow's tracking and registry can't do without, in any version that counts.
CORE = (
    "experiments",
    "experiment_tags",
    "runs",
    "metrics",
    "latest_metrics",
    "params",
    "tags",
    "registered_models",
    "registered_model_tags",
    "registered_model_aliases",
    "model_versions",
    "model_version_tags",
)
_REVISION = re.compile(r"^revision(?:\s*:\s*str)?\s*=\s*[\"']([0-9a-f]+)[\"']", re.MULTILINE)

Tables = Mapping[str, tuple[str, ...]]


@cache
def whole() -> tuple[str, Tables]:
    """The revision, and each table with its columns as `name type [not null]`."""
    values = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return str(values["revision"]), {name: tuple(columns) for name, columns in values["tables"].items()}


def expected(revision: str) -> Tables:
    """What must be there at a revision: everything at ours; at another the core tables' columns,
    by name alone, since versions differ in types."""
    ours, tables = whole()
    if revision == ours:
        return tables
    return {name: tuple(column.partition(" ")[0] for column in tables[name]) for name in CORE}


@cache
def known_revisions() -> frozenset[str]:
    """Every revision that the installed MLflow has a migration for."""
    package = importlib.util.find_spec("mlflow")
    folders = package.submodule_search_locations if package is not None else None
    found: set[str] = {whole()[0]}
    for folder in folders or ():
        for path in Path(folder).glob("store/db_migrations/versions/*.py"):
            match = _REVISION.search(path.read_text(encoding="utf-8"))
            if match:
                found.add(match.group(1))
    return frozenset(found)


def missing(wanted: Tables, seen: Tables) -> dict[str, tuple[str, ...]]:
    """Per table, what is wanted and not there; a table that is not there at all lacks every column."""
    return {
        table: lacking
        for table, columns in wanted.items()
        if (lacking := tuple(sorted(set(columns) - set(seen.get(table, ())))))
    }


def held_to(wanted: Tables, seen: Tables) -> tuple[str, ...]:
    """The tables that Great Expectations finds wanting, as a suite of one expectation a table."""
    import os
    import warnings

    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with not_counted():
            import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        batch = (
            context.data_sources.add_pandas("database")
            .add_dataframe_asset("columns")
            .add_batch_definition_whole_dataframe("all")
            .get_batch({"dataframe": _frame(wanted, seen)})
        )
        suite = gx.ExpectationSuite(
            name="schema",
            expectations=[
                gx.expectations.ExpectColumnDistinctValuesToContainSet(  # type: ignore[attr-defined]
                    column=table, value_set=list(columns)
                )
                for table, columns in wanted.items()
            ],
        )
        outcome = batch.validate(suite)
    return tuple(
        str(each.expectation_config.kwargs["column"])
        for each in outcome.results
        if not each.success and each.expectation_config is not None
    )


def _frame(wanted: Tables, seen: Tables) -> "pd.DataFrame":
    """One column a table, its values the table's columns."""

    with not_counted():
        import pandas as pd

    def column(values: Sequence[str], length: int) -> list[str | None]:
        return [*values, *([None] * (length - len(values)))]

    longest = max((len(seen.get(table, ())) for table in wanted), default=0) or 1
    return pd.DataFrame({table: column(seen.get(table, ()), longest) for table in wanted}, dtype="object")
