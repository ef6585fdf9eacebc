"""The hash of each report's manifest, kept as a tag of its run in Dagster's storage: whoever may write the
results may not write there, so that a chain that was rewritten or rolled back as a whole is seen."""

from typing import TYPE_CHECKING

import dagster as dg

from hokusai_validation.reporting import manifest
from hokusai_validation.reporting.manifest import Anchors

if TYPE_CHECKING:
    from upath import UPath

TAG = "hokusai/manifest"
TARGET_TAG = "hokusai/manifest_of"
RUNS_LIMIT = 1000  # the newest ones are compared


def anchor(instance: dg.DagsterInstance, target: str, run_id: str, folder: "UPath") -> None:
    """Keep the hash of a report that was just written."""
    if instance.has_run(run_id):
        instance.add_run_tags(run_id, {TAG: manifest.sha256(folder / manifest.NAME), TARGET_TAG: target})


def anchors(instance: dg.DagsterInstance, target: str) -> Anchors:
    """What is on record of a target's reports."""
    runs = instance.get_runs(filters=dg.RunsFilter(tags={TARGET_TAG: target}), limit=RUNS_LIMIT)
    hashes = {run.run_id: run.tags[TAG] for run in runs if TAG in run.tags}
    return Anchors(hashes, next(iter(hashes), None))
