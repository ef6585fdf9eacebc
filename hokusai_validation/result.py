"""One row a test: the form in which everything that was seen travels from the suite to the report."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from hokusai_validation.facts import Fact
from hokusai_validation.observation import Observation
from hokusai_validation.redaction import shown
from hokusai_validation.text import Text

if TYPE_CHECKING:
    import pandas as pd


class Status(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"  # the target is at fault
    BROKEN = "broken"  # we could not judge
    SKIPPED = "skipped"  # not executed, with the reason


class SkipReason(StrEnum):
    """Why a test was not executed. A skipped row without one was skipped by what the test itself saw
    (an older version of the secret is not there)."""

    UNHEALTHY_BEFORE = "unhealthy_before"  # a part it relies on was not well before: `blocked_by`
    TIME_BUDGET = "time_budget"  # the phase's time was used up
    NOT_PERMITTED = "not_permitted"  # by the target file, or by AWS
    NOT_CONFIGURED = "not_configured"
    NOT_SELECTED = "not_selected"
    STALE = "stale"  # older than the newest deployment


class Phase(StrEnum):
    """The phases that run tests, in their order."""

    ENVIRONMENT = "environment"
    DISCOVERY = "discovery"
    HEALTH = "health"
    FUNCTIONAL = "functional"
    LOAD = "load"
    CHAOS = "chaos"


class Category(StrEnum):
    """What kind of test it is; the first four make up the catalogue's 67."""

    UNIT = "unit"
    INTEGRATION = "integration"
    LOAD = "load"
    CHAOS = "chaos"
    ENVIRONMENT = "environment"
    DISCOVERY = "discovery"
    INFRASTRUCTURE = "infrastructure"
    FUNCTIONAL = "functional"
    CHECK = "check"  # declared in the target file


PROGRESS_LIMIT = 160  # characters of a message
CATALOGUE_CATEGORIES = (Category.UNIT, Category.INTEGRATION, Category.LOAD, Category.CHAOS)


class Result(BaseModel):
    """What one attempt at one test saw.

    `test` is `Class::function` (with `[case]` for a case of its own); `detail` is the trace of a
    failure; `evidence` what was seen, as JSON; `facts` the same for the diagnosis; `observations`
    every question that was asked of the target, passed or failed; `metrics` plain numbers, units in
    their names. `flaky` is set on a passed second attempt. `skip_reason` says why a skipped one was not
    executed; with `unhealthy_before`, `blocked_by` is the component that was not well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    target: str
    phase: Phase
    category: Category
    id: str
    test: str
    component: str
    critical: bool
    status: Status
    started_at: AwareDatetime
    duration_s: float = 0.0
    message: Text = ""
    detail: Text = ""
    evidence: Mapping[str, JsonValue] = Field(default_factory=dict)
    facts: tuple[Fact, ...] = ()
    observations: tuple[Observation, ...] = ()
    metrics: Mapping[str, float] = Field(default_factory=dict)
    attempt: int = 1
    flaky: bool = False
    skip_reason: SkipReason | None = None
    blocked_by: str | None = None

    @property
    def executed(self) -> bool:
        """Whether the target was judged at all."""
        return self.status in (Status.PASSED, Status.FAILED)


class Progress(BaseModel):
    """What of a row is told while a phase runs; nothing depends on its arrival."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    test: str
    status: Status
    attempt: int
    duration_s: float
    message: str

    @classmethod
    def of(cls, row: Result) -> "Progress":
        """Of a row, its message short."""
        return cls(
            id=row.id,
            test=row.test,
            status=row.status,
            attempt=row.attempt,
            duration_s=row.duration_s,
            message=shown(row.message, PROGRESS_LIMIT),
        )


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


def final_attempts(results: Iterable[Result]) -> tuple[Result, ...]:
    """The last attempt of every test, in the order of their first appearance."""
    last: dict[tuple[Phase, str], Result] = {}
    for result in results:
        key = (result.phase, result.test)
        if key not in last or result.attempt >= last[key].attempt:
            last[key] = result
    return tuple(last.values())


_JSON_COLUMNS = ("evidence", "facts", "observations", "metrics")
_OPTIONAL_COLUMNS = ("skip_reason", "blocked_by")


def to_frame(results: Iterable[Result]) -> "pd.DataFrame":
    """One row a result, columns as `Result`'s fields; evidence, facts, observations and metrics as JSON
    text, so that every run has the same Parquet schema."""
    import json

    import pandas as pd

    rows = []
    for result in results:
        row = result.model_dump(mode="json")
        row["started_at"] = result.started_at
        for column in _JSON_COLUMNS:
            row[column] = json.dumps(row[column], ensure_ascii=False, sort_keys=True)
        rows.append(row)
    frame = pd.DataFrame(rows, columns=list(Result.model_fields))
    return frame.astype(
        {
            **dict.fromkeys(Result.model_fields, "string"),
            "critical": "bool",
            "flaky": "bool",
            "attempt": "int64",
            "duration_s": "float64",
            "started_at": "datetime64[us, UTC]",
        }
    )


def from_frame(frame: "pd.DataFrame") -> tuple[Result, ...]:
    """The inverse of `to_frame`.

    Raises pydantic's ValidationError for a frame that is not one of results."""
    import json

    import pandas as pd

    results = []
    for row in frame.to_dict("records"):
        values = {str(name): value for name, value in row.items()}
        for column in _JSON_COLUMNS:
            if column in values:  # rows of before it was there are read as well
                values[column] = json.loads(values[column])
        for column in _OPTIONAL_COLUMNS:
            if column in values and pd.isna(values[column]):
                values[column] = None
        values["started_at"] = values["started_at"].to_pydatetime()
        results.append(Result.model_validate(values))
    return tuple(results)
