"""The I/O manager: what one asset hands to the next, kept by the store. Rows as Parquet, the report as JSON."""

import dagster as dg

from hokusai_validation.phase_rows import PhaseRows
from hokusai_validation.report import Report
from hokusai_validation.resources.injected import ResultsResource
from hokusai_validation.result import Phase


class StoreIOManager(dg.IOManager):
    """Of keys `TARGET/STEP`, where the results lie."""

    def __init__(self, results: ResultsResource) -> None:
        self._results = results

    def handle_output(self, context: dg.OutputContext, obj: PhaseRows | Report) -> None:
        """Keep what an asset gives."""
        if isinstance(obj, Report):
            self._results.store().keep_report(obj)
        else:
            self._results.store().append(context.asset_key.path[0], obj)

    def load_input(self, context: dg.InputContext) -> PhaseRows | Report:
        """The newest of it; of a phase that never ran, no rows."""
        target, step = context.asset_key.path
        store = self._results.store()
        return store.newest(target, Phase(step)) if step in tuple(Phase) else store.report(target)


def store_io_manager(results: ResultsResource) -> dg.IOManagerDefinition:
    """As Dagster takes it. No run configuration moves what lies there."""
    return dg.IOManagerDefinition(
        lambda _: StoreIOManager(results),
        config_schema={},
        description="Rows as Parquet and the report as JSON, where the results lie.",
    )
