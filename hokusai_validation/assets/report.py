"""Phase report: the documents, and the verdict as a check that makes the run fail."""

import os
import sys
import time
from collections.abc import Callable, Iterator

import dagster as dg

from hokusai_validation import __version__, reporting
from hokusai_validation.assets import anchors, metadata, progress, wall
from hokusai_validation.assets.aggregate import NAME as AGGREGATE
from hokusai_validation.assets.aggregate import numbers
from hokusai_validation.assets.phase import key
from hokusai_validation.assets.resources import (
    identifier,
    results_key,
    store_of,
    target_key,
)
from hokusai_validation.diagnosis import results_contract
from hokusai_validation.redaction import shown
from hokusai_validation.report import Report, Verdict
from hokusai_validation.reporting import emf
from hokusai_validation.reporting.folder import DOCUMENTS
from hokusai_validation.reporting.news import News
from hokusai_validation.result import to_frame
from hokusai_validation.store import scratch

NAME = "report"
VERDICT = "verdict"


def build(target_name: str) -> dg.AssetsDefinition:
    """The asset `report` of a target."""
    asset_key = key(target_name, NAME)

    @dg.asset(
        key=asset_key,
        ins={"made": dg.AssetIn(key(target_name, AGGREGATE))},
        description="The documents that people act on, and the verdict.",
        group_name=identifier(target_name),
        kinds={"html", "json"},
        owners=["team:platform"],
        tags={"target": target_name, "phase": NAME},
        code_version=__version__,
        pool=identifier(target_name),
        # Of the target only its lock is needed: until the documents are written nothing else begins.
        required_resource_keys={target_key(target_name), results_key(target_name)},
    )
    def report(context: dg.AssetExecutionContext, made: Report) -> Iterator[dg.MaterializeResult[None]]:
        begun = time.monotonic()
        progress.notify(progress.Event(NAME, begun=True))
        store = store_of(context, target_name)
        with scratch.folder("data-docs-") as folder:
            checked = results_contract.check(to_frame(made.results), made.target)
            place = reporting.write(
                made,
                store.reports,
                run_output=store.output(made.target, made.run_id),
                attachments={"data_docs": results_contract.write_docs(checked, folder / "docs")},
            )
        if os.environ.get("AWS_EXECUTION_ENV", "").startswith("AWS_ECS"):
            # A task's output goes to CloudWatch Logs, which makes metrics of these lines.
            sys.stdout.write(emf.render(made).decode())
        anchors.anchor(context.instance, made.target, made.run_id, store.reports / made.target / made.run_id)
        store.keep_news(made.target, News.of(made).model_dump_json().encode())
        all_targets = wall.refresh(store, made.finished_at)
        progress.notify(progress.Event(NAME, seconds=time.monotonic() - begun))
        documents = {name: f"{place}/{name}" for name in DOCUMENTS}
        yield dg.MaterializeResult(
            asset_key=asset_key,
            metadata={
                "headline": made.headline,
                **numbers(made),
                **metadata.links({**documents, "all targets": all_targets}, str(store.reports)),
                "run": metadata.run(context.run.run_id),
            },
            data_version=dg.DataVersion(f"{context.run.run_id}:{NAME}"),
        )

    return report


def build_verdict(target_name: str) -> dg.AssetChecksDefinition:
    """The last, blocking check: a target that is unhealthy makes the run fail; one that could not be
    judged makes it yellow."""
    asset_key = key(target_name, NAME)
    spec = dg.AssetCheckSpec(
        VERDICT,
        asset=asset_key,
        blocking=True,
        description="Fails when the target is unhealthy; warns when it could not be judged.",
    )

    @dg.multi_asset_check(specs=[spec], name=f"{identifier(target_name)}__{NAME}_{VERDICT}")
    def verdict(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        event = context.instance.get_latest_materialization_event(asset_key)
        made = None if event is None else event.asset_materialization
        known = {} if made is None else {name: entry.value for name, entry in made.metadata.items()}
        said = str(known.get("verdict", Verdict.INCONCLUSIVE.value))
        headline = shown(known.get("headline", said), 1000)
        error = said == Verdict.UNHEALTHY.value
        yield dg.AssetCheckResult(
            passed=said in (Verdict.HEALTHY.value, Verdict.DEGRADED.value),
            severity=dg.AssetCheckSeverity.ERROR if error else dg.AssetCheckSeverity.WARN,
            description=headline,
            metadata={"verdict": said},
        )
        if error:
            raise _plain(f"{target_name} is unhealthy: {headline}")

    return verdict


def _plain(text: str) -> Exception:
    """What ends the step of an unhealthy verdict, said without a stack: nothing of ours is broken.

    A failed blocking check alone, and a `dg.Failure`, stand in the run's events with Dagster's own stack. Dagster has
    no public way around it; its version is locked."""
    from dagster._core.errors import DagsterUserCodeProcessError
    from dagster_shared.error import SerializableErrorInfo

    told = SerializableErrorInfo(message=f"{text}\n", stack=[], cls_name=None)
    untyped: Callable[..., Exception] = DagsterUserCodeProcessError
    return untyped(text, user_code_process_error_infos=[told])
