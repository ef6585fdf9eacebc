"""Which rows a report speaks of: the newest of every phase, completed so that none is missing, and
without those that are older than what is deployed now."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from hokusai_validation import catalogue
from hokusai_validation.catalogue.needs import missing
from hokusai_validation.permission import harmful
from hokusai_validation.phase_rows import PhaseRows
from hokusai_validation.report import PhaseSource
from hokusai_validation.result import Category, Phase, Result, SkipReason, Status, final_attempts
from hokusai_validation.target import Target

NOT_SELECTED = "not selected"
NEVER_REPORTED = "never reported"
STALE = "stale"


def complete(phases: Sequence[PhaseRows], target: Target, run_id: str, at: datetime) -> tuple[PhaseRows, ...]:
    """All six phases in their order, each with a row for every catalogued test: a test without one
    is `broken: never reported` where its phase was asked for, else `skipped: not selected`."""
    given = {rows.phase: rows for rows in phases}
    completed = []
    for phase in Phase:
        rows = given.get(phase, PhaseRows(phase=phase, run_id=None, asked=False))
        present = {row.test for row in rows.results}
        absent = tuple(
            _missing(entry, target, run_id, at, asked=rows.asked)
            for entry in catalogue.phase_entries(phase, target)
            if entry.test not in present
        )
        completed.append(rows.model_copy(update={"results": rows.results + absent}))
    return tuple(completed)


def _missing(entry: catalogue.Entry, target: Target, run_id: str, at: datetime, *, asked: bool) -> Result:
    return Result(
        run_id=run_id,
        target=target.name,
        phase=entry.phase,
        category=entry.category,
        id=entry.id,
        test=entry.test,
        component=entry.component,
        critical=entry.critical,
        status=Status.BROKEN if asked else Status.SKIPPED,
        started_at=at,
        message=NEVER_REPORTED if asked else NOT_SELECTED,
        skip_reason=None if asked else SkipReason.NOT_SELECTED,
    )


def was_selected(row: Result) -> bool:
    """Whether the run was asked for this test at all."""
    return row.skip_reason is not SkipReason.NOT_SELECTED


def earliest(rows: Iterable[Result]) -> datetime | None:
    """When the first of the rows that say something about the target was begun."""
    return min((row.started_at for row in rows if was_selected(row)), default=None)


def source(rows: PhaseRows, newest_deployment: datetime | None) -> PhaseSource:
    """Where a phase's rows are from, and whether what they speak of has been replaced since."""
    begun = earliest(rows.results) if rows.run_id is not None else None
    stale = newest_deployment is not None and begun is not None and begun < newest_deployment
    ended = rows.finished_at or max(
        (row.started_at for row in rows.results if was_selected(row)), default=None
    )
    return PhaseSource(
        phase=rows.phase.value,
        run_id=rows.run_id,
        finished_at=ended if rows.run_id is not None else None,
        stale=stale,
        duration_s=rows.duration_s,
        target_hash=rows.target_hash,
        troubles=rows.troubles,
    )


def without_stale(rows: PhaseRows, source: PhaseSource) -> PhaseRows:
    """The same rows, or, where they are stale, what is left to say of them: they were seen on
    something that no longer runs, so their tests count as not executed."""
    if not source.stale:
        return rows
    aged = tuple(
        row.model_copy(
            update={
                "status": Status.SKIPPED,
                "skip_reason": SkipReason.STALE,
                "blocked_by": None,
                "message": f"{STALE}: {row.status.value} in run {row.run_id}, before the newest deployment",
                "detail": "",
                "facts": (),
                "metrics": {},
                "evidence": {},
                "attempt": 1,
                "flaky": False,
            }
        )
        for row in final_attempts(rows.results)
    )
    return rows.model_copy(update={"results": aged})


def is_stale(row: Result) -> bool:
    """Whether `without_stale` has emptied this row."""
    return row.skip_reason is SkipReason.STALE


# Without these a target file declares nothing: there is nothing to validate.
_NOT_FORGIVEN = frozenset({"gateway", "key"})


def declared_skip(row: Result, target: Target) -> bool:
    """Whether a skipped test could not run because of something that the target file says it
    does not have (or does not permit)."""
    component = target.topology.get(row.component)
    if component is not None and not component.deployed:
        return True
    blocking = target.topology.get(row.blocked_by or "")
    if blocking is not None and blocking.is_known_unhealthy:
        return True
    entry = catalogue.find(row.test, target)
    if entry is None:
        return False
    if not target.catalogue:  # it is for its checks alone to say what there is to validate
        return missing(entry, target) is not None
    gated = target.production or target.permissions.quiet
    if gated and row.skip_reason is SkipReason.NOT_PERMITTED and harmful(entry.needs):
        return True
    forgivable = entry.model_copy(
        update={"needs": tuple(need for need in entry.needs if need not in _NOT_FORGIVEN)}
    )
    return missing(forgivable, target) is not None


_PUTS_FAULTS_ON = frozenset({"faults", "failpoints", "control"})


def injects(row: Result) -> bool:
    """Whether a row's test puts faults on, so that what it saw unreachable may be its own doing."""
    entry = catalogue.find(row.test) or catalogue.find(row.test.partition("[")[0])
    if entry is None:
        return row.category is Category.CHAOS
    return any(need in _PUTS_FAULTS_ON or need.startswith("fault:") for need in entry.needs)
