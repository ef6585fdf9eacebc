"""What the UI shows of a phase: counts and scores as numbers, so that they are plotted, a table of
what is wrong, and where to read on."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from hokusai_validation.reporting.escape import markdown
from hokusai_validation.result import Result, Status, final_attempts

TABLE_ROWS = 50


def of_rows(results: Sequence[Result]) -> dict[str, Any]:
    """Counts by status, the share passed of those executed, time, and the failures as a table."""
    final = final_attempts(results)
    counts = {status.value: sum(row.status is status for row in final) for status in Status}
    executed = sum(row.executed for row in final)
    values: dict[str, Any] = {
        **counts,
        "tests": len(final),
        "flaky": sum(row.flaky for row in final),
        "duration_s": round(sum(row.duration_s for row in results), 3),
        "failures": dg.MetadataValue.md(failures_table(final)),
    }
    if executed:
        values["test_success"] = counts["passed"] / executed
    return values


def failures_table(results: Sequence[Result]) -> str:
    """A Markdown table of what failed or could not be judged, worst first."""
    order = {Status.FAILED: 0, Status.BROKEN: 1}
    bad = sorted(
        (row for row in results if row.status in order),
        key=lambda row: (not row.critical, order[row.status]),
    )
    if not bad:
        return "Nothing failed."
    lines = ["| test | status | critical | component | message |", "| --- | --- | --- | --- | --- |"]
    for row in bad[:TABLE_ROWS]:
        cells = (f"{row.id} {row.test}", row.status.value, "yes" if row.critical else "no", row.component)
        lines.append(f"| {' | '.join(map(markdown, cells))} | {markdown(row.message, 200)} |")
    if len(bad) > TABLE_ROWS:
        lines.append(f"| and {len(bad) - TABLE_ROWS} more | | | | |")
    return "\n".join(lines)


def links(paths: Mapping[str, str]) -> dict[str, Any]:
    """Where to read on, by name."""
    return {name: dg.MetadataValue.path(path) for name, path in paths.items()}
