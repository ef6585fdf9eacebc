"""Rows in, report out."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue

from hokusai_validation.diagnosis.counts import count
from hokusai_validation.diagnosis.coverage import coverage
from hokusai_validation.diagnosis.diagnose import diagnose
from hokusai_validation.diagnosis.history import History
from hokusai_validation.diagnosis.left_behind import left_behind
from hokusai_validation.diagnosis.performance import performances
from hokusai_validation.diagnosis.provenance import newest_deployment, provenance
from hokusai_validation.diagnosis.rows import complete, source, without_stale
from hokusai_validation.diagnosis.scores import scores
from hokusai_validation.diagnosis.stack import stack
from hokusai_validation.diagnosis.summary import summary
from hokusai_validation.diagnosis.trend import trend
from hokusai_validation.diagnosis.verdict import headline, judge
from hokusai_validation.diagnosis.waivers import waivers
from hokusai_validation.phase_rows import PhaseRows
from hokusai_validation.report import Deployment, Report
from hokusai_validation.result import final_attempts
from hokusai_validation.target import Target


def assemble(
    *,
    run_id: str,
    target: Target,
    phases: Sequence[PhaseRows],
    started_at: datetime,
    finished_at: datetime,
    history: History | None = None,
    evidence: Mapping[str, JsonValue] | None = None,
    deployed_at_end: Sequence[Deployment] = (),
) -> Report:
    """The whole report of a run.

    `phases`: for every phase that has rows its newest ones, whichever run they are from (this run's,
    or those that the store has), and, for each phase that this run was asked for, an entry with
    `asked=True` also when nothing came of it. Phases that are left out count as not asked for.
    Rows that are older than the newest deployment seen are emptied (`skipped: stale`).
    `history`: the runs before this one; this run itself may be among them and is left out.
    `deployed_at_end`: what was deployed when all rows were in; newer than a phase's rows, it makes
    them stale, so that a deployment in the middle of a run leaves nothing judged.
    `evidence`: what else the report should carry, as JSON (Dagster's run link, the CI job).

    Never raises because of what stands in a row."""
    past = (history or History()).before(run_id)
    whole = complete(phases, target, run_id, finished_at)
    seen = [row for each in whole for row in each.results]
    newest = newest_deployment(seen, deployed_at_end)
    sources = [source(each, newest) for each in whole]
    fresh = [without_stale(each, origin) for each, origin in zip(whole, sources, strict=True)]
    rows = tuple(row for each in fresh for row in each.results)
    findings = diagnose(rows, target, past, at=finished_at)
    accepted = waivers(rows, findings, target, finished_at.date())
    judgement = judge(rows, target, findings, accepted)
    present = scores(rows, target)
    here = summary(
        rows,
        target,
        past,
        run_id=run_id,
        at=finished_at,
        verdict=judgement.verdict,
        scores=present,
        findings=findings,
        sources=sources,
    )
    return Report(
        run_id=run_id,
        target=target.name,
        started_at=started_at,
        finished_at=finished_at,
        verdict=judgement.verdict,
        headline=headline(judgement.verdict, rows, target, [finding.title for finding in findings]),
        reasons=judgement.reasons,
        left_behind=left_behind(rows),
        waived=accepted.applied,
        notices=accepted.notices,
        scores=present,
        counts=count(rows),
        results=rows,
        findings=findings,
        stack=stack(target, final_attempts(rows), findings),
        performance=performances(final_attempts(rows)),
        trend=trend([row for row in rows if row.run_id == run_id], past, here),
        provenance=provenance(seen, sources, target, deployed_at_end),
        coverage=coverage(rows),
        evidence=evidence or {},
    )
