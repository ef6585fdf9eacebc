"""What a report remembers of a run: one small summary a run, so that a trend over thousands of
runs reads a few files and not all rows.

The store keeps summaries as JSON (`RunSummary.model_dump(mode="json")`), oldest first; `History`
needs the newest `WINDOW` of them. Whatever must be known from further back (since when a finding
or a pattern has been there, which run was the last good one, which run a phase's rows are from) is
carried forward from summary to summary."""

from collections.abc import Mapping, Sequence

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from hokusai_validation.report import Verdict

WINDOW = 50  # summaries that a report reads
OUTCOMES = 20  # last statuses kept for each test


class Known(BaseModel):
    """Since when something has been seen in every run, and in how many."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    since: AwareDatetime
    runs: int = 1


class RunSummary(BaseModel):
    """One run, in a few kilobytes. `outcomes` maps tests to their final status (`flaky` for one
    that passed at its second attempt; not-selected tests are left out); `histograms` maps
    `test|endpoint|model` to an encoded HdrHistogram; latencies in ms, `recovery_s` in seconds by
    test; `patterns` maps a normalised message to how often it came; `phases` maps a phase to the
    run whose rows were the newest. `imported` marks a score known from elsewhere."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: str
    at: AwareDatetime
    verdict: str
    scores: Mapping[str, float | None] = Field(default_factory=dict)
    services: Mapping[str, bool] = Field(default_factory=dict)
    outcomes: Mapping[str, str] = Field(default_factory=dict)
    percentiles: Mapping[str, Mapping[str, float | None]] = Field(default_factory=dict)
    histograms: Mapping[str, str] = Field(default_factory=dict)
    recovery_s: Mapping[str, float] = Field(default_factory=dict)
    patterns: Mapping[str, int] = Field(default_factory=dict)
    known_patterns: Mapping[str, Known] = Field(default_factory=dict)
    findings: Mapping[str, Known] = Field(default_factory=dict)
    phases: Mapping[str, str] = Field(default_factory=dict)
    last_good_run_id: str | None = None
    imported: bool = False


class History(BaseModel):
    """The newest runs before the present one, oldest first; `last_good` where that one is older
    than all of them."""

    model_config = ConfigDict(frozen=True)

    runs: tuple[RunSummary, ...] = ()
    last_good: RunSummary | None = None

    @classmethod
    def from_json(cls, summaries: Sequence[Mapping[str, JsonValue]]) -> "History":
        """Of stored summaries in any order; one that can't be read is left out, and of a run whose
        report was made twice the later one counts."""
        runs: dict[str, RunSummary] = {}
        for summary in summaries:
            try:
                run = RunSummary.model_validate(summary)
            except ValidationError:
                continue
            if run.run_id not in runs or runs[run.run_id].at <= run.at:
                runs[run.run_id] = run
        return cls(runs=tuple(sorted(runs.values(), key=lambda run: (run.at, run.run_id))))

    def before(self, run_id: str) -> "History":
        """Without the run itself, so that a report can be made twice."""
        return self.model_copy(update={"runs": tuple(run for run in self.runs if run.run_id != run_id)})

    @property
    def previous(self) -> RunSummary | None:
        """The newest run that was no import."""
        return next((run for run in reversed(self.runs) if not run.imported), None)

    @property
    def last_good_run(self) -> RunSummary | None:
        """The newest healthy run."""
        for run in reversed(self.runs):
            if run.verdict == Verdict.HEALTHY.value:
                return run
        return self.last_good
