"""The rows of one phase of one run, with what went wrong on their way: what a phase hands on."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from hokusai_validation.result import Phase, Result


class TroubleKind(StrEnum):
    """What can go wrong between a test and the report, without being the target's fault."""

    PROCESS_ENDED = "process_ended"  # the suite's process did not end by itself
    ROW_CUT = "row_cut"  # the record's last line, in the middle of which a process died
    ROW_DAMAGED = "row_damaged"  # another line that is not a row
    ROW_MISSING = "row_missing"  # progress told of a row, or its number was given, and it is not there
    PROGRESS_LOST = "progress_lost"  # a message that was cut or did not come: no row depends on it


class Trouble(BaseModel):
    """One such thing, in a sentence for a person (`text`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: TroubleKind
    text: str


class PhaseRows(BaseModel):
    """The newest rows of one phase: all attempts, and the run that they are from (None: there are
    none).

    `asked`: this run was asked for the phase (whether or not it sent any row). `finished_at` is
    when the phase's last row came; `duration_s` how long the phase took, where that is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase: Phase
    run_id: str | None
    results: tuple[Result, ...] = ()
    finished_at: AwareDatetime | None = None
    duration_s: float | None = None
    asked: bool = True
    target_hash: str | None = None
    troubles: tuple[Trouble, ...] = ()
