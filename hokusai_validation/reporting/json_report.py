"""`report.json`: the whole report, checked against the schema that lies in the package."""

import json
from functools import cache
from importlib import resources

from pydantic import JsonValue

from hokusai_validation.errors import ReportNotWritten
from hokusai_validation.redaction import shown
from hokusai_validation.report import Report

SCHEMA_FILE = "report.schema.json"


def make_schema() -> dict[str, JsonValue]:
    """The JSON Schema (draft 2020-12) of the Report model."""
    schema = Report.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:hokusai-validation:report:1",
        **schema,
    }


@cache
def schema() -> dict[str, JsonValue]:
    """The schema as it lies in the package; a test holds it to the model."""
    text = resources.files("hokusai_validation.reporting").joinpath(SCHEMA_FILE).read_text("utf-8")
    loaded: dict[str, JsonValue] = json.loads(text)
    return loaded


def render(report: Report) -> bytes:
    """The report as JSON, one trailing newline.

    Raises ReportNotWritten when it does not keep its own schema."""
    import jsonschema

    values = report.model_dump(mode="json")
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema()).iter_errors(values))
    if error is not None:
        raise ReportNotWritten(
            f"The report does not keep its schema at {error.json_path}: {shown(error.message, 200)}."
            " This is a fault of this package: please report it."
        )
    return (json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()
