"""The rows as tables: CSV for a spreadsheet, Parquet for everything else."""

import csv
import io

from hokusai_validation.report import Report
from hokusai_validation.reporting.escape import csv_cell
from hokusai_validation.result import to_frame

CSV_COLUMNS = (
    "id",
    "phase",
    "category",
    "test",
    "component",
    "critical",
    "status",
    "attempt",
    "flaky",
    "duration_s",
    "started_at",
    "message",
    "target",
    "run_id",
)


def render_csv(report: Report) -> bytes:
    """Every attempt, one line each; cells that a spreadsheet would calculate are quoted."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
    for row in report.results:
        values = row.model_dump(mode="json")
        writer.writerow([csv_cell(v) if isinstance(v := values[name], str) else v for name in CSV_COLUMNS])
    return out.getvalue().encode()


def render_parquet(report: Report) -> bytes:
    """Every attempt with all columns of `Result`."""
    out = io.BytesIO()
    to_frame(report.results).to_parquet(out, index=False, compression="zstd")
    return out.getvalue()
