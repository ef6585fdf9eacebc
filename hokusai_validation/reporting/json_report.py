"""`report.json`: the whole report. The schema that lies in the package is made of its model."""

import json
from functools import cache
from importlib import resources

from pydantic import JsonValue

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
    """The report as JSON, one trailing newline."""
    values = report.model_dump(mode="json")
    return (json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()
