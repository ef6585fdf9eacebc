"""`index.html`: all targets on one page, for a wall: verdicts over time, open causes with their age,
how long repairs took, the tests that fail most, latencies that grow. Static, without a script."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hokusai_validation.reporting import pages
from hokusai_validation.reporting.charts import sparkline, strip

WORST = 5
GROWTH = 1.2  # a p95 over its median of before by this is shown as growing


@dataclass(frozen=True)
class OpenCause:
    """A finding of the newest run: its key, since when, in how many runs."""

    key: str
    since: datetime
    runs: int


@dataclass(frozen=True)
class PastRun:
    """What the page shows of one run. `outcomes` maps tests to their final status, `p95_ms` load runs
    to their latency."""

    run_id: str
    at: datetime
    verdict: str
    scores: Mapping[str, float | None]
    outcomes: Mapping[str, str]
    p95_ms: Mapping[str, float]
    open_causes: Sequence[OpenCause]


@dataclass(frozen=True)
class Line:
    """One target on the page."""

    target: str
    newest: PastRun
    verdicts: str  # an SVG strip, oldest first
    score: str  # a sparkline of infrastructure health
    open_causes: Sequence[tuple[OpenCause, str]]  # with its age in words
    repaired: str
    worst: Sequence[tuple[str, int, int]]  # test, failures, runs
    growing: Sequence[tuple[str, float, float]]  # load run, before and now in ms


def render(runs: Mapping[str, Sequence[PastRun]], now: datetime) -> bytes:
    """The page of every target's newest runs, oldest first."""
    lines = [_line(target, past, now) for target, past in sorted(runs.items()) if past]
    template = pages.environment().get_template("index.html.j2")
    page = template.render(lines=lines, now=now, style=pages.text("report.css"))
    return page.encode()


def age(span: timedelta) -> str:
    """`3 d`, `5 h`, `12 min`."""
    seconds = max(0.0, span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return "under a minute"


def times_to_repair(past: Sequence[PastRun]) -> tuple[timedelta, ...]:
    """For every unbroken series of unhealthy runs that ended: from its first run to the run that was
    not unhealthy any more."""
    spans: list[timedelta] = []
    begun: datetime | None = None
    for run in past:
        if run.verdict == "unhealthy":
            begun = begun or run.at
        elif begun is not None and run.verdict in ("healthy", "degraded"):
            spans.append(run.at - begun)
            begun = None
    return tuple(spans)


def _line(target: str, past: Sequence[PastRun], now: datetime) -> Line:
    newest = past[-1]
    spans = sorted(times_to_repair(past))
    scores = [score for run in past if (score := run.scores.get("infrastructure_health")) is not None]
    return Line(
        target=target,
        newest=newest,
        verdicts=strip([run.verdict for run in past]),
        score=sparkline(scores),
        open_causes=[
            (cause, age(now - cause.since)) for cause in sorted(newest.open_causes, key=lambda c: c.since)
        ],
        repaired=age(spans[len(spans) // 2]) if spans else "",
        worst=_worst(past),
        growing=_growing(past),
    )


def _worst(past: Sequence[PastRun]) -> list[tuple[str, int, int]]:
    failures = Counter(
        test
        for run in past
        for test, status in run.outcomes.items()
        if status in ("failed", "broken", "flaky")
    )
    seen = Counter(test for run in past for test in run.outcomes)
    return [(test, count, seen[test]) for test, count in failures.most_common(WORST)]


def _growing(past: Sequence[PastRun]) -> list[tuple[str, float, float]]:
    """Load runs whose newest p95 is over the median of the ones before by GROWTH, with three at least."""
    found = []
    for name, now_ms in past[-1].p95_ms.items():
        before = sorted(run.p95_ms[name] for run in past[:-1] if name in run.p95_ms)
        if len(before) >= 3 and now_ms > before[len(before) // 2] * GROWTH:
            found.append((name, before[len(before) // 2], now_ms))
    return sorted(found, key=lambda item: item[1] / item[2])[:WORST]
