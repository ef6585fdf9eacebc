"""What the six test phases share: the effective target, a suite process, rows, checks."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg

from hokusai_validation import __version__
from hokusai_validation.assets import metadata, progress, provisional
from hokusai_validation.assets.checks import check_results, check_specs
from hokusai_validation.assets.phases import PhaseAsset
from hokusai_validation.assets.resources import (
    frames_key,
    identifier,
    process_key,
    process_of,
    results_key,
    store_of,
    target_key,
    target_of,
)
from hokusai_validation.assets.suite_process import Request, SuiteProcess
from hokusai_validation.assets.task import SuiteTask
from hokusai_validation.catalogue import Entry, phase_entries
from hokusai_validation.effective import EffectiveTarget
from hokusai_validation.permission import FAULTS, Gate, narrowed
from hokusai_validation.phase_rows import PhaseRows, Trouble, TroubleKind
from hokusai_validation.redaction import Redactor
from hokusai_validation.resources.injected import ProcessResource
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import Phase
from hokusai_validation.runner.pipes import Known, gate_extras
from hokusai_validation.runner.process import Ended
from hokusai_validation.runner.rows import complete
from hokusai_validation.store import record
from hokusai_validation.store.record import Recorded
from hokusai_validation.store.results import ResultStore, Run
from hokusai_validation.target import LOAD, Target


def key(target: str, step: str) -> dg.AssetKey:
    """`TARGET/PHASE`."""
    return dg.AssetKey([target, step])


def build_phase(target_name: str, row: PhaseAsset, own: Iterable[Entry] = ()) -> dg.AssetsDefinition:
    """The asset of a phase: runs its tests, stores their rows, and answers one check a test, of the
    catalogue and of the target's `own` when the definitions were loaded. A failing target makes checks red, never the asset: the phases below run in any case."""
    phase = row.phase
    asset_key = key(target_name, phase.value)
    declared = (*phase_entries(phase), *(entry for entry in own if entry.phase is phase))

    @dg.asset(
        key=asset_key,
        deps=[] if row.after is None else [key(target_name, row.after.value)],
        description=row.description,
        group_name=identifier(target_name),
        kinds=set(row.kinds),
        owners=[f"team:{row.team}"],
        tags={"target": target_name, "phase": phase.value},
        code_version=__version__,
        io_manager_key=frames_key(target_name),
        pool=identifier(target_name),
        check_specs=check_specs(asset_key, declared),
        required_resource_keys={
            target_key(target_name),
            results_key(target_name),
            process_key(target_name),
        },
    )
    def run_phase(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[PhaseRows]]:
        target = target_of(context, target_name)
        yield _phase_result(
            context,
            phase,
            asset_key,
            declared,
            target,
            store_of(context, target_name),
            process_of(context, target_name),
        )

    return run_phase


def _phase_result(
    context: dg.AssetExecutionContext,
    phase: Phase,
    asset_key: dg.AssetKey,
    declared: Sequence[Entry],
    target: EffectiveTarget,
    store: ResultStore,
    settings: ProcessResource,
) -> dg.MaterializeResult[PhaseRows]:
    begun = datetime.now(UTC)
    entries = phase_entries(phase, target.target)
    run_id = context.run.run_id
    store.begin(Run(run_id=run_id, target=target.name, started_at=begun, asked=asked_phases(context)))
    progress.notify(progress.Event(phase.value, begun=True, expected=len(entries)))
    folder = store.output_folder(target.name, run_id)
    redactor = Secrets(target.target, given=target.secrets).redactor
    with provisional.watching(
        target.target, run_id, phase, asked_phases(context), folder, redactor
    ) as standing:
        recorded, ended = _run_suite(context, phase, target, store, settings, redactor)
    missing = complete(
        recorded.rows,
        scope=entries,
        asked=lambda entry: True,
        run_id=run_id,
        target=target.target,
        why=lambda entry: ended.why,
    )
    finished = datetime.now(UTC)
    rows = PhaseRows(
        phase=phase,
        run_id=run_id,
        results=(*recorded.rows, *missing),
        finished_at=finished,
        duration_s=(finished - begun).total_seconds(),
        troubles=recorded.troubles,
    )
    for trouble in rows.troubles:
        context.log.warning(f"{phase.value}: {trouble.text}")
    output_path = store.keep_output(target.name, run_id, phase.value, ended.output)
    progress.notify(progress.Event(phase.value, seconds=rows.duration_s))
    return dg.MaterializeResult(
        asset_key=asset_key,
        value=rows,
        metadata={
            **metadata.of_rows(rows.results),
            "wall_s": round(rows.duration_s or 0.0, 3),
            "findings_so_far": dg.MetadataValue.json([each.title for each in standing.told.values()]),
            "run": metadata.run(run_id),
            **metadata.links(
                {"rows": str(store.rows_file(target.name, run_id, phase)), "output": output_path}
            ),
        },
        check_results=list(check_results(asset_key, declared, rows.results)),
        data_version=dg.DataVersion(f"{run_id}:{phase.value}"),
    )


def _gate(context: dg.AssetExecutionContext, phase: Phase, target: Target, store: ResultStore) -> Gate:
    """What this run may do to the target; what it may not is said in its log as well."""
    run_id = context.run.run_id
    confirmation = store.confirmation(target.name, run_id) if target.production else None
    job = context.run.job_name.removeprefix(f"{identifier(target.name)}_")
    gate = Gate.of(target, run_id, confirmation=confirmation, job=job)
    unmet = gate.unmet({Phase.LOAD: (LOAD,), Phase.CHAOS: (FAULTS,)}.get(phase, ()))
    if unmet is not None:
        context.log.warning(str(unmet))
    note = narrowed(target)
    if note is not None and store.first_time(target.name, "narrowed"):
        context.log.warning(note)
    return gate


def _run_suite(
    context: dg.AssetExecutionContext,
    phase: Phase,
    target: EffectiveTarget,
    store: ResultStore,
    settings: ProcessResource,
    redactor: Redactor,
) -> tuple[Recorded, Ended]:
    """Run a phase's suite: what stands on its record, with what went wrong on the way; and how it ended.

    Raises SuiteError when it can't start."""
    told, task, run_id = progress.Told(phase), settings.task(), context.run.run_id
    name = record.name_of(phase, context.retry_number)
    address = (
        store.record_of(target.name, run_id, name)
        if task is None
        else record.in_bucket(task.bucket, run_id, name)
    )
    # Not beside what is measured, and only for a phase that is to come.
    measures = phase is Phase.LOAD
    later = [each for each in asked_phases(context) if tuple(Phase).index(each) > tuple(Phase).index(phase)]
    following = None if measures else next(iter(later), None)
    request = Request(phase, target, address, told, redactor, following, warms_up=not measures)
    extras = {
        "target": target.target.model_dump(mode="json"),
        "run_id": run_id,
        **gate_extras(_gate(context, phase, target.target, store)),
        **Known.of(provisional.rows_of(run_id)).extras(),
    }
    if task is None:
        ended = SuiteProcess(request, settings.workers).run(context=context, extras=extras).ended
    else:
        ended = SuiteTask(request, task).run(context, extras)
    recorded = record.read(address, store.base.storage_options)
    troubles = (*recorded.troubles, *told.compare(recorded.rows))
    if ended.why:
        context.log.error(f"{phase.value}: {ended.why}")
        troubles = (Trouble(kind=TroubleKind.PROCESS_ENDED, text=ended.why), *troubles)
    return Recorded(recorded.rows, troubles), ended


def asked_phases(context: dg.AssetExecutionContext) -> tuple[Phase, ...]:
    """The phases that this run was asked for."""
    selection = context.run.asset_selection
    if selection is None:
        return tuple(Phase)
    names = {asset.path[-1] for asset in selection}
    return tuple(phase for phase in Phase if phase.value in names)
