"""What the UI shows of a phase: counts and scores as numbers, so that they are plotted, a list of
what is wrong, and where to read on."""

import os
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import dagster as dg

from hokusai_validation.reporting.escape import markdown
from hokusai_validation.result import Result, Status, final_attempts

# What Dagster takes as the value of an entry.
Value = dg.MetadataValue | str | int | float | None

DOCUMENTS_VARIABLE = "HOKUSAI_DOCUMENTS_URL"
LISTED = 50
DIGITS = 4  # a score with 17 digits is hard to read


def of_rows(results: Sequence[Result]) -> dict[str, Value]:
    """Counts by status, the share passed of those executed, time, and the failures as a list."""
    final = final_attempts(results)
    counts = {status.value: sum(row.status is status for row in final) for status in Status}
    executed = sum(row.executed for row in final)
    values: dict[str, Value] = {
        **counts,
        "tests": len(final),
        "flaky": sum(row.flaky for row in final),
        "duration_s": round(sum(row.duration_s for row in results), 3),
        "failures": dg.MetadataValue.md(failures_list(final)),
    }
    if executed:
        values["test_success"] = round(counts["passed"] / executed, DIGITS)
    return values


def failures_list(results: Sequence[Result]) -> str:
    """What failed or could not be judged, worst first. A Markdown list: the UI cuts off the columns
    of a table that is wider than its own."""
    order = {Status.FAILED: 0, Status.BROKEN: 1}
    bad = sorted(
        (row for row in results if row.status in order),
        key=lambda row: (not row.critical, order[row.status]),
    )
    if not bad:
        return "Nothing failed."
    lines = []
    for row in bad[:LISTED]:
        what = (
            f"{row.status.value}, {'critical' if row.critical else 'not critical'}, {markdown(row.component)}"
        )
        lines.append(f"- **{markdown(row.id)}** {markdown(row.test)} ({what}): {markdown(row.message, 200)}")
    if len(bad) > LISTED:
        lines.append(f"- and {len(bad) - LISTED} more")
    return "\n".join(lines)


def links(paths: Mapping[str, str], reports: str = "") -> dict[str, dg.MetadataValue]:
    """Where to read on, by name: a page where the documents of folder `reports` are served
    (`HOKUSAI_DOCUMENTS_URL`) or in S3's console, else the path."""
    return {name: _link(path, reports) for name, path in paths.items()}


def _link(path: str, reports: str) -> dg.MetadataValue:
    bucket, _, key = path.removeprefix("s3://").partition("/")
    if path.startswith("s3://") and key:
        return dg.MetadataValue.url(
            f"https://console.aws.amazon.com/s3/object/{quote(bucket)}?prefix={quote(key)}"
        )
    served = os.environ.get(DOCUMENTS_VARIABLE)
    if served and reports and path.startswith(f"{reports}/"):
        return dg.MetadataValue.url(f"{served.rstrip('/')}/{quote(path[len(reports) + 1 :])}")
    return dg.MetadataValue.path(path)


def run(run_id: str) -> dg.DagsterRunMetadataValue:
    """A run, as a link to its page."""
    return dg.MetadataValue.dagster_run(run_id)
