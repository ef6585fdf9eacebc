"""The sensor on runs that failed without a report: a worker that died, a time-out of the whole run, a start that
never came. Of a run with a report, `alerts` tells."""

from collections.abc import Mapping

import dagster as dg

from hokusai_validation.automation.alerts import KINDS
from hokusai_validation.automation.announcements import Announcement, Told
from hokusai_validation.errors import HokusaiError, NotDelivered
from hokusai_validation.redaction import Redactor, shown
from hokusai_validation.report import Verdict
from hokusai_validation.resources.injected import ResultsResource, TargetResource

NAME = "notify_failed_runs"


def build_failed_runs_sensor(
    targets: Mapping[str, TargetResource], results: ResultsResource
) -> dg.SensorDefinition:
    """For all targets, by every channel that each names for itself as a whole."""

    @dg.run_failure_sensor(
        name=NAME, description="Tells of runs that ended without a report: nobody knows how the target is."
    )
    def notify(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        run = context.dagster_run
        target = run.tags.get("target", "")
        if target not in targets:
            return dg.SkipReason("The run is of no target that is known here.")
        if (results.store().reports / target / run.run_id / "report.json").exists():
            return dg.SkipReason("The run has a report, of which the other sensors tell.")
        held = targets[target].resolve()
        why = shown(Redactor().text(str(context.failure_event.message or "no reason was given")), 500)
        base = (held.target.automation.ui_url or "").rstrip("/")
        news = Announcement(
            target=target,
            run_id=run.run_id,
            verdict=Verdict.INCONCLUSIVE,
            headline=f"A run ended without a report, so nobody knows how {target} is: {why}",
            link=f"{base}/runs/{run.run_id}" if base else f"run {run.run_id} in Dagster's UI",
            items=(),
            told=Told(),
        )
        failed = []
        for send in KINDS.values():
            try:
                send(held, held.target.automation, news, {})
            except HokusaiError as error:
                failed.append(str(error))
        if failed:
            raise NotDelivered(" ".join(failed))
        return None

    return notify
