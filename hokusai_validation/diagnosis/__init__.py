"""From rows to reasons: a pure room. Rows (`Result`), the target's topology and summaries of past
runs go in; findings, a verdict and the whole `Report` come out. No network, no clock, no files.

    report = assemble(run_id=…, target=…, phases=[PhaseRows(…), …], started_at=…, finished_at=…,
                      history=History.from_json(stored_summaries))
    status = exit_status(report, target, asked_phases)
    store(summarise(report, target, history).model_dump(mode="json"))
"""

from hokusai_validation.diagnosis.assemble import assemble
from hokusai_validation.diagnosis.diagnose import diagnose
from hokusai_validation.diagnosis.history import WINDOW, History, RunSummary
from hokusai_validation.diagnosis.summary import summarise
from hokusai_validation.diagnosis.verdict import exit_status
from hokusai_validation.phase_rows import PhaseRows

__all__ = [
    "WINDOW",
    "History",
    "PhaseRows",
    "RunSummary",
    "assemble",
    "diagnose",
    "exit_status",
    "summarise",
]
