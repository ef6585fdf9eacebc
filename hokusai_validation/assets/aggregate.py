"""Phase aggregate: the rows of all phases, completed, checked, scored, and their causes found: the report."""

import time
from collections.abc import Iterator

import dagster as dg

from hokusai_validation import __version__
from hokusai_validation.assets import folding, metadata, progress
from hokusai_validation.assets.deployed_now import deployed_now
from hokusai_validation.assets.phase import key
from hokusai_validation.assets.read_back import of_this_stack
from hokusai_validation.assets.resources import (
    frames_key,
    identifier,
    results_key,
    store_of,
    target_key,
    target_of,
)
from hokusai_validation.diagnosis import results_contract as contract
from hokusai_validation.diagnosis import summarise
from hokusai_validation.phase_rows import PhaseRows
from hokusai_validation.report import Report
from hokusai_validation.reporting.escape import markdown
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import Phase, to_frame
from hokusai_validation.store.dataset import Dataset

NAME = "aggregate"
CONTRACT = "rows_keep_their_contract"


def build(target_name: str) -> dg.AssetsDefinition:
    """The asset `aggregate` of a target. Phases that this run was not asked for are read back."""
    asset_key = key(target_name, NAME)

    @dg.asset(
        key=asset_key,
        ins={phase.value: dg.AssetIn(key(target_name, phase.value)) for phase in Phase},
        description="The newest rows of every phase in one report, held to their contract, scored and diagnosed.",
        group_name=identifier(target_name),
        kinds={"python", "great_expectations"},
        owners=["team:platform"],
        tags={"target": target_name, "phase": NAME},
        code_version=__version__,
        io_manager_key=frames_key(target_name),
        pool=identifier(target_name),
        required_resource_keys={target_key(target_name), results_key(target_name)},
        check_specs=[
            dg.AssetCheckSpec(
                CONTRACT, asset=asset_key, description="Rows are complete, unique and of allowed values."
            )
        ],
    )
    def aggregate(
        context: dg.AssetExecutionContext,
        environment: PhaseRows,
        discovery: PhaseRows,
        health: PhaseRows,
        functional: PhaseRows,
        load: PhaseRows,
        chaos: PhaseRows,
    ) -> Iterator[dg.MaterializeResult[Report]]:
        begun = time.monotonic()
        progress.notify(progress.Event(NAME, begun=True))
        held, store = target_of(context, target_name), store_of(context, target_name)
        of = held.target
        deployed, why_not = deployed_now(held)
        given = (environment, discovery, health, functional, load, chaos)
        phases, said = of_this_stack(given, held, context.run.run_id, store)
        evidence = {"dagster_run": context.run.run_id, **said}
        if why_not:
            evidence["deployed_at_end"] = f"could not be read: {why_not}"
        history = folding.history_of(store, of.name)
        report = folding.report_of(
            phases,
            of,
            context.run.run_id,
            history,
            folding.run_started_at(context),
            Secrets(of, given=held.secrets).redactor,
            deployed,
            evidence,
        )
        checked = contract.check(to_frame(report.results), of.name)
        summary = summarise(report, of, history)
        store.add_summary(of.name, report.run_id, report.finished_at, summary.model_dump(mode="json"))
        own = [row for row in report.results if row.run_id == report.run_id]  # not what was read back
        Dataset(store.base).add(of.name, report.run_id, report.finished_at, own)
        progress.notify(progress.Event(NAME, seconds=time.monotonic() - begun))
        yield dg.MaterializeResult(
            asset_key=asset_key,
            value=report,
            metadata={**numbers(report), "run": metadata.run(context.run.run_id)},
            check_results=[
                dg.AssetCheckResult(
                    asset_key=asset_key,
                    check_name=CONTRACT,
                    passed=checked.success,
                    description="; ".join(checked.broken)[:1000] or "The rows keep their contract.",
                    metadata={"evaluated": checked.evaluated},
                )
            ],
            data_version=dg.DataVersion(f"{context.run.run_id}:{NAME}"),
        )

    return aggregate


def numbers(report: Report) -> dict[str, metadata.Value]:
    """Scores and counts of a report as plain numbers, so that the UI plots them; and the causes."""
    known = ((name, value) for name, value in report.scores.model_dump().items() if value is not None)
    scores = {name: round(value, metadata.DIGITS) for name, value in known}
    counts = report.counts
    causes = "\n".join(f"- {item.priority.value} {markdown(item.title)}" for item in report.findings)
    return {
        "verdict": report.verdict.value,
        "causes": dg.MetadataValue.md(causes or "None."),
        **scores,
        **{f"tests_{status}": number for status, number in counts.by_status.items()},
        **{f"catalogue_{name}": number for name, number in counts.catalogue.model_dump().items()},
        "findings": len(report.findings),
    }
