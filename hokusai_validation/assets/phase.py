"""What the six test phases share: the effective target, a suite process, rows, checks."""

import warnings
from collections.abc import Iterator, Set
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from hokusai_validation import __version__
from hokusai_validation.assets import metadata, progress, provisional, task
from hokusai_validation.assets.checks import check_results, check_specs
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
from hokusai_validation.catalogue import phase_entries
from hokusai_validation.effective import EffectiveTarget
from hokusai_validation.errors import SuiteError
from hokusai_validation.permission import FAULTS, Gate
from hokusai_validation.redaction import Redactor
from hokusai_validation.resources.injected import ProcessResource, TaskSettings
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import Phase, Result, to_frame
from hokusai_validation.runner import process
from hokusai_validation.runner.rows import complete
from hokusai_validation.runner.settings import gate_extras
from hokusai_validation.runner.warming import warm_up
from hokusai_validation.store.results import ResultStore, Run
from hokusai_validation.target import LOAD, Target

TEAMS = {
    Phase.ENVIRONMENT: "infrastructure",
    Phase.DISCOVERY: "infrastructure",
    Phase.HEALTH: "api",
    Phase.FUNCTIONAL: "ml-platform",
    Phase.LOAD: "platform",
    Phase.CHAOS: "platform",
}


def key(target: str, step: str) -> dg.AssetKey:
    """`TARGET/PHASE`."""
    return dg.AssetKey([target, step])


def build_phase(
    target_name: str, phase: Phase, *, after: Phase | None, description: str, kinds: set[str]
) -> dg.AssetsDefinition:
    """The asset of a phase: runs its tests, stores their rows, and answers one check a test. A
    failing target makes checks red, never the asset: the phases below run in any case."""
    asset_key = key(target_name, phase.value)
    entries = phase_entries(phase)

    @dg.asset(
        key=asset_key,
        deps=[] if after is None else [key(target_name, after.value)],
        description=description,
        group_name=identifier(target_name),
        kinds=kinds,
        owners=[f"team:{TEAMS[phase]}"],
        tags={"target": target_name, "phase": phase.value},
        code_version=__version__,
        io_manager_key=frames_key(target_name),
        pool=identifier(target_name),
        check_specs=check_specs(asset_key, entries),
        required_resource_keys={
            target_key(target_name),
            results_key(target_name),
            process_key(target_name),
        },
    )
    def run_phase(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        target = target_of(context, target_name)
        yield _phase_result(
            context,
            phase,
            asset_key,
            target,
            store_of(context, target_name),
            process_of(context, target_name),
        )

    return run_phase


def _phase_result(
    context: dg.AssetExecutionContext,
    phase: Phase,
    asset_key: dg.AssetKey,
    target: EffectiveTarget,
    store: ResultStore,
    settings: ProcessResource,
) -> dg.MaterializeResult[Any]:
    begun = datetime.now(UTC)
    entries = phase_entries(phase)
    store.begin(
        Run(run_id=context.run.run_id, target=target.name, started_at=begun, asked=asked_phases(context))
    )
    progress.notify(progress.Event(phase.value, begun=True, expected=len(entries)))
    if phase is Phase.ENVIRONMENT:
        warm_up()
    run_id = context.run.run_id
    folder = store.output_folder(target.name, run_id)
    with provisional.watching(target.target, run_id, phase, asked_phases(context), folder) as standing:
        results, why, output = _rows(context, phase, target, store, settings)
    results += complete(
        results,
        scope=entries,
        asked=lambda entry: True,
        run_id=context.run.run_id,
        target=target.name,
        why=lambda entry: why,
    )
    rows_path = store.append(context.run.run_id, target.name, phase, results)
    output_path = store.keep_output(target.name, context.run.run_id, phase.value, output)
    seconds = (datetime.now(UTC) - begun).total_seconds()
    progress.notify(progress.Event(phase.value, seconds=seconds))
    return dg.MaterializeResult(
        asset_key=asset_key,
        value=to_frame(results),
        metadata={
            **metadata.of_rows(results),
            "wall_s": round(seconds, 3),
            "findings_so_far": dg.MetadataValue.json([each.title for each in standing.told.values()]),
            "run": metadata.run(context.run.run_id),
            **metadata.links({"rows": rows_path, "output": output_path}),
        },
        check_results=list(check_results(asset_key, entries, results)),
        data_version=dg.DataVersion(f"{context.run.run_id}:{phase.value}"),
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
    return gate


def _rows(
    context: dg.AssetExecutionContext,
    phase: Phase,
    target: EffectiveTarget,
    store: ResultStore,
    settings: ProcessResource,
) -> tuple[tuple[Result, ...], str, str]:
    """The rows that the suite process sent, why others may be missing, and what it printed.

    Raises SuiteError when the process can't start."""
    received: list[Result] = []
    secrets = Secrets(target.target, given=target.secrets)
    gate = _gate(context, phase, target.target, store)
    extras = {
        "target": target.target.model_dump(mode="json"),
        "run_id": context.run.run_id,
        **gate_extras(gate),
    }
    in_task = settings.task()
    if in_task is not None:
        return _rows_of_task(context, phase, extras, target.injected, in_task, secrets.redactor)
    environment = {name: value.get_secret_value() for name, value in target.secrets.items()}
    with ExitStack() as stack:
        with warnings.catch_warnings():
            # Dagster warns of a preview in its own code.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            session = stack.enter_context(
                dg.open_pipes_session(
                    context=context,
                    context_injector=dg.PipesTempFileContextInjector(),
                    message_reader=dg.PipesTempFileMessageReader(),
                    extras=extras,
                )
            )

        def receive() -> int:
            for message in session.get_custom_messages()[len(received) :]:
                result = Result.model_validate(message)
                received.append(result)
                progress.notify(progress.Event(phase.value, row=result))
            return len(received)

        ended = process.run(
            process.command(
                phase,
                target.name,
                settings.workers,
                store.live_file(target.name, context.run.run_id, phase),
            ),
            {**session.get_bootstrap_env_vars(), **environment},
            rows_so_far=receive,
            silence_s=process.silence_limit_s(phase_entries(phase), target.target),
            redactor=secrets.redactor,
        )
    receive()
    if ended.why:
        context.log.error(f"{phase.value}: {ended.why}")
    return tuple(received), ended.why, ended.output


def _rows_of_task(
    context: dg.AssetExecutionContext,
    phase: Phase,
    extras: dict[str, Any],
    injected: Set[str],
    settings: TaskSettings,
    redactor: Redactor,
) -> tuple[tuple[Result, ...], str, str]:
    """The same from a task inside the VPC.

    Raises SuiteError."""
    import boto3

    if injected:
        raise SuiteError(
            f"Injected secrets ({', '.join(sorted(injected))}) can't travel to an ECS task, where whoever"
            " may describe tasks could read them; name a Secrets Manager id in the target file."
        )
    received: list[Result] = []

    def receive(result: Result) -> None:
        received.append(result)
        progress.notify(progress.Event(phase.value, row=result))

    ended = task.run(
        context,
        phase,
        phase_entries(phase),
        extras,
        settings,
        task.Clients(boto3.client("ecs"), boto3.client("s3")),
        receive=receive,
        redactor=redactor,
    )
    if ended.why:
        context.log.error(f"{phase.value}: {ended.why}")
    return tuple(received), ended.why, ended.output


def asked_phases(context: dg.AssetExecutionContext) -> tuple[Phase, ...]:
    """The phases that this run was asked for."""
    selection = context.run.asset_selection
    if selection is None:
        return tuple(Phase)
    names = {asset.path[-1] for asset in selection}
    return tuple(phase for phase in Phase if phase.value in names)
