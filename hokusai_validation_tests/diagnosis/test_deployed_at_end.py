"""A deployment in the middle of a run, or since the rows that are read back, leaves nothing judged."""

from datetime import UTC, datetime, timedelta

from hokusai_validation.catalogue import phase_entries
from hokusai_validation.diagnosis import PhaseRows, assemble
from hokusai_validation.report import Deployment, Verdict
from hokusai_validation.result import Phase, Result, Status
from hokusai_validation.target import Target

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
FIRST = Deployment(component="api", task_definition="api:1", deployed_at=AT - timedelta(days=1))
TARGET = Target(name="t")


def phases() -> list[PhaseRows]:
    found = []
    for number, phase in enumerate(Phase):
        at = AT + timedelta(minutes=number)
        rows = [
            Result(
                run_id="r",
                target="t",
                phase=phase,
                category=entry.category,
                id=entry.id,
                test=entry.test,
                component=entry.component,
                critical=entry.critical,
                status=Status.PASSED,
                started_at=at,
                evidence={"deployment": FIRST.model_dump(mode="json")} if entry.id == "E12" else {},
            )
            for entry in phase_entries(phase)
        ]
        found.append(PhaseRows(phase=phase, run_id="r", results=tuple(rows), finished_at=at))
    return found


def test_nothing_changed() -> None:
    report = assemble(
        run_id="r",
        target=TARGET,
        phases=phases(),
        started_at=AT,
        finished_at=AT + timedelta(hours=1),
        deployed_at_end=[FIRST],
    )
    assert report.verdict is Verdict.HEALTHY
    assert report.provenance.changed_during_run == ()
    assert [each.task_definition for each in report.provenance.deployments] == ["api:1"]


def test_a_deployment_in_the_middle_makes_the_phases_before_it_stale() -> None:
    later = Deployment(
        component="api", task_definition="api:2", deployed_at=AT + timedelta(minutes=2, seconds=30)
    )
    report = assemble(
        run_id="r",
        target=TARGET,
        phases=phases(),
        started_at=AT,
        finished_at=AT + timedelta(hours=1),
        deployed_at_end=[later],
    )
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.provenance.changed_during_run == ("api: task definition api:1 → api:2",)
    stale = {source.phase for source in report.provenance.phases if source.stale}
    assert stale == {"environment", "discovery", "health"}


def test_a_changed_secret_is_a_change() -> None:
    before = FIRST.model_copy(update={"secret_versions": {"db": "1"}})
    rows = phases()
    first = rows[0].results
    rows[0] = rows[0].model_copy(
        update={
            "results": tuple(
                row.model_copy(update={"evidence": {"deployment": before.model_dump(mode="json")}})
                if row.id == "E12"
                else row
                for row in first
            )
        }
    )
    report = assemble(
        run_id="r",
        target=TARGET,
        phases=rows,
        started_at=AT,
        finished_at=AT + timedelta(hours=1),
        deployed_at_end=[before.model_copy(update={"secret_versions": {"db": "2"}})],
    )
    assert report.provenance.changed_during_run == ("api: secret db was changed",)
