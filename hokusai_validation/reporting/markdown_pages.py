"""The documents in Markdown, each a template as the HTML page is: no text of a target is put out unescaped.

What a template puts out is one line of Markdown that reads as just that text, unless a filter says otherwise:
`line(500)` (of more than 300 characters), `code_block`, `as_is` (our own: ids, numbers, times)."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from hokusai_validation.report import Priority, Report, Verdict
from hokusai_validation.reporting import escape, views
from hokusai_validation.result import Status

if TYPE_CHECKING:
    import jinja2

SCORE_TITLES = {
    "infrastructure_health": "Infrastructure health",
    "service_availability": "Service availability",
    "execution_completion": "Execution completion",
    "test_success": "Test success",
    "registration_success": "Registration success",
}
MEANING = {
    Priority.P0: "now: users are cut off or data is at risk",
    Priority.P1: "today: a critical part fails or will soon",
    Priority.P2: "this week: degraded, or a promise that is not kept",
    Priority.P3: "when there is time",
}
MARKS = {
    Verdict.HEALTHY: "✅",
    Verdict.DEGRADED: "⚠️",
    Verdict.INCONCLUSIVE: "❔",
    Verdict.UNHEALTHY: "❌",
}
SUMMARY_FINDINGS = 5


def health_report(report: Report) -> bytes:
    """`health_report.md`: is it healthy, since when not, and why; one page for operations."""
    previous = {point.run_id: point.scores for point in report.trend.points if point.run_id != report.run_id}
    return _render("health_report", report, before=previous.get(report.trend.previous_run_id or ""))


def working_services(report: Report) -> bytes:
    """`working_services.md`: what a developer can use now, each line backed by a test that passed."""
    return _render("working_services", report)


def failing_services(report: Report) -> bytes:
    """`failing_services.md`: errors, their patterns, causes and impact, for whoever looks after a service."""
    return _render("failing_services", report)


def handoff(report: Report) -> bytes:
    """`handoff.md`: what to do, in which order, by whom, with commands to see it for oneself."""
    return _render("handoff", report)


def summary(report: Report) -> bytes:
    """`summary.md`, for a pull request or a job's summary page: what a reviewer decides by; under 16 KiB
    whatever a target answers."""
    return _render("summary", report)


def milliseconds(value: float | None) -> str:
    """`12.3 ms`, or `n/a` where the samples do not carry the percentile."""
    return "n/a" if value is None else f"{value:.1f} ms"


def _render(name: str, report: Report, **more: Mapping[str, float | None] | None) -> bytes:
    template = _environment().get_template(f"{name}.md.j2")
    return template.render(report=report, **more).encode()


@cache
def _environment() -> "jinja2.Environment":
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("hokusai_validation.reporting"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: _line(value) if type(value) is str else value,
        autoescape=False,  # noqa: S701 - it is Markdown: `finalize` escapes
    )
    made.filters |= {
        "line": _line,
        "as_is": Markup,
        "code_block": lambda text: Markup(escape.code_block(text)),  # noqa: S704
        "time": lambda at, form="%Y-%m-%d %H:%M:%S %Z": _time(at, form),
    }
    made.globals |= {
        "Status": Status,
        "Priority": Priority,
        "score_titles": SCORE_TITLES,
        "meaning": MEANING,
        "marks": MARKS,
        "summary_findings": SUMMARY_FINDINGS,
        "milliseconds": milliseconds,
        "percent": views.percent,
        "views": views,
    }
    return made


def _line(text: str, limit: int = 300) -> Markup:
    return text if isinstance(text, Markup) else Markup(escape.markdown(text, limit))  # noqa: S704


def _time(at: datetime, form: str) -> Markup:
    return Markup(format(at, form))  # noqa: S704
