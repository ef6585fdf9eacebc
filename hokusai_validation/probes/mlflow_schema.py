"""MLflow's database schema: as this package's own MLflow makes it, and the part that every version
has. Read from files; MLflow itself is not imported (it takes a second)."""

import importlib.util
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

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
