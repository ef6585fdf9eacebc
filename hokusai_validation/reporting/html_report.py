"""`report.html`: one file that opens without a network. All text passes Jinja's autoescape; the page
carries a content security policy that lets only its own script run, by its hash."""

import base64
import hashlib
import json
from functools import partial
from typing import Any

from hokusai_validation.catalogue import find
from hokusai_validation.report import Performance, Report
from hokusai_validation.reporting import (
    chaos_charts,
    pages,
    performance_charts,
    run_timeline,
    stack_picture,
    views,
)
from hokusai_validation.reporting.charts import Series, line_chart, linear_axis, strip
from hokusai_validation.reporting.escape import one_line, plain
from hokusai_validation.reporting.markdown_pages import MEANING, SCORE_TITLES, milliseconds
from hokusai_validation.result import Phase, Result, Status

# What a row may add to the page; the whole of it stands in report.json.
DETAIL_LIMIT, EVIDENCE_LIMIT = 2_000, 3_000
# What all rows together may add, so that the page stays under 2 MB whatever a target answers.
EVIDENCE_BUDGET = 700_000


def render(report: Report) -> bytes:
    """The page."""
    environment = pages.environment()
    environment.filters.update(one_line=one_line, percent=views.percent, ms=milliseconds)
    script = pages.text("report.js")
    page = environment.get_template("report.html.j2").render(
        report=report,
        style=pages.text("report.css"),
        script=script,
        script_hash=script_hash(),
        **_content(report),
    )
    return page.encode()


def script_hash() -> str:
    """SHA-256 of the page's only script, as a content security policy names it."""
    return base64.b64encode(hashlib.sha256(pages.text("report.js").encode()).digest()).decode()


def _content(report: Report) -> dict[str, Any]:
    tests: dict[str, list[Performance]] = {}
    for item in report.performance:
        tests.setdefault(item.test, []).append(item)
    rows = views.finals(report)
    return {
        "phases": list(Phase),
        "hash_shown": views.HASH_SHOWN,
        "troubles": views.troubles(report),
        "statuses": list(Status),
        "score_titles": SCORE_TITLES,
        "meaning": MEANING,
        "stack": stack_picture.picture(report.stack, report.findings),
        "stack_of": {
            finding.key: stack_picture.picture(report.stack, report.findings, finding)
            for finding in report.findings
            if len(report.findings) > 1
        },
        "run_timeline": run_timeline.run_timeline(report),
        "ids": {row.test: row.id for row in rows},
        "accepted": partial(views.accepted, report),
        "matrix": views.matrix(report),
        "endpoints": views.endpoints(report),
        "edges": views.edges(report),
        "edge_name": views.edge_name,
        "requirements": views.requirements(report),
        "contract": () if report.coverage is None else report.coverage.endpoints,
        "skipped_reasons": views.skipped_reasons(report),
        "catalogue_rows": [row for row in rows if (entry := find(row.test)) and entry.in_catalogue],
        "other_rows": [row for row in rows if not ((entry := find(row.test)) and entry.in_catalogue)],
        "evidence": _evidence(report, rows),
        "says": {row.test: entry.says for row in rows if (entry := find(row.test))},
        "first_attempts": [row for row in report.results if row.attempt == 1 and _retried(row, rows)],
        "curves": [performance_charts.percentile_curves(items) for items in tests.values()],
        "over_time": [
            picture for item in report.performance for picture in performance_charts.over_time(item)
        ],
        "timelines": [picture for row in rows if (picture := chaos_charts.timeline(row))],
        "trend_chart": _trend_chart(report),
        "strip": strip,
        "configuration": _configuration(rows),
    }


def _retried(row: Result, finals: tuple[Result, ...]) -> bool:
    return any(other.test == row.test and other.phase is row.phase and other.attempt > 1 for other in finals)


def _evidence(report: Report, rows: tuple[Result, ...]) -> dict[str, str]:
    """Each row's evidence as JSON text, cut where it is long; failures first when it gets tight.
    Pictures and histograms are drawn elsewhere and left out here."""
    texts: dict[str, str] = {}
    left = EVIDENCE_BUDGET
    for row in sorted(rows, key=lambda item: views.SEVERITY.index(item.status)):
        shown = {key: value for key, value in row.evidence.items() if key not in ("performance", "journal")}
        if not shown and not row.metrics:
            continue
        text = json.dumps({**shown, **row.metrics}, ensure_ascii=False, indent=1)
        limit = min(EVIDENCE_LIMIT, left)
        if len(text) > limit:
            text = text[:limit] + "\n… cut; the whole of it stands in report.json"
        texts[f"{row.phase}/{row.test}"] = plain(text)
        left = max(0, left - len(text))
    return texts


def _trend_chart(report: Report) -> str:
    points = report.trend.points
    if len(points) < 2:
        return ""
    lines = []
    for name, title in SCORE_TITLES.items():
        values = [
            (float(i), score * 100) for i, p in enumerate(points) if (score := p.scores.get(name)) is not None
        ]
        if len(values) > 1:
            lines.append(Series(title, values))
    if not lines:
        return ""
    return line_chart(
        f"Scores over the last {len(points)} runs",
        ", ".join(f"{line.name} now {line.points[-1][1]:.1f} %" for line in lines),
        lines,
        linear_axis("run", 0.0, float(len(points) - 1)),
        linear_axis("%", 0.0, 100.0),
    )


def _configuration(rows: tuple[Result, ...]) -> list[Result]:
    """The rows that compare what runs with what was declared."""
    return [row for row in rows if row.phase in (Phase.ENVIRONMENT, Phase.DISCOVERY)]
