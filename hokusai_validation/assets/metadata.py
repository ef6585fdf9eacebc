"""What the UI shows of a phase: counts and scores as numbers, so that they are plotted, a list of
what is wrong, and where to read on."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from hokusai_validation.reporting.escape import markdown
from hokusai_validation.result import Result, Status, final_attempts

LISTED = 50
DIGITS = 4  # a score with 17 digits is hard to read


def of_rows(results: Sequence[Result]) -> dict[str, Any]:
    """Counts by status, the share passed of those executed, time, and the failures as a list."""
    final = final_attempts(results)
    counts = {status.value: sum(row.status is status for row in final) for status in Status}
    executed = sum(row.executed for row in final)
    values: dict[str, Any] = {
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


def links(paths: Mapping[str, str]) -> dict[str, Any]:
    """Where to read on, by name."""
    return {name: dg.MetadataValue.path(path) for name, path in paths.items()}


def run(run_id: str) -> dg.DagsterRunMetadataValue:
    """A run, as a link to its page."""
    return dg.MetadataValue.dagster_run(run_id)
