"""Phases of a target materialized in this process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from hokusai_validation.assets.resources import identifier
from hokusai_validation.definitions import build
from hokusai_validation.result import Phase


def materialize(
    source: Path,
    *phases: Phase,
    target: str,
    instance: dg.DagsterInstance,
    run_config: Mapping[str, Any] | None = None,
    **resources: Any,
) -> dg.ExecuteInProcessResult:
    """Some phases with what is made of them."""
    steps = [*(phase.value for phase in phases), "aggregate", "report"]
    return (
        build(str(source), **resources)
        .resolve_job_def(f"{identifier(target)}_validate")
        .execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey([target, step]) for step in steps],
            raise_on_error=False,
            run_config={**(run_config or {}), "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    )
