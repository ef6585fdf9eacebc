"""What a sensor remembers from tick to tick. One that can't be read is given up: a tick that failed on it
would fail for ever, and a lost one launches nothing twice."""

from typing import TypeVar

import dagster as dg
from pydantic import BaseModel, ValidationError

Cursor = TypeVar("Cursor", bound=BaseModel)


def read(context: dg.SensorEvaluationContext, kind: type[Cursor]) -> Cursor:
    """The sensor's cursor; a new one where there is none, or none that can be read, which its log says."""
    if not context.cursor:
        return kind()
    try:
        return kind.model_validate_json(context.cursor)
    except ValidationError as error:
        context.log.warning(
            f"The sensor's cursor can't be read ({error.error_count()} of its values are wrong); it begins anew."
        )
        return kind()
