"""Pictures as SVG text: they take the page's colours, so light, dark and print need no second copy.

Our own, because a report opens without a script, a font or a network, and is read by a screen reader.
Every chart has a title and a description for a screen reader. Values go in as numbers and names as
text; all text is escaped here.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape as escape_html

from hokusai_validation.reporting.escape import plain

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 34


@dataclass(frozen=True)
class Series:
    """A line: its name and its points, in the units of the axes."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """One axis: what it shows, its ends, where its ticks are, and how it maps onto 0 to 1."""

    label: str
    ticks: Sequence[tuple[float, str]]
    place: Callable[[float], float]


@dataclass(frozen=True)
class Band:
    """A span of the x axis that is marked, such as the time a fault was on."""

    start: float
    end: float
    name: str


def linear_axis(label: str, low: float, high: float) -> Axis:
    """An axis with four to six round ticks."""
    if not math.isfinite(low) or not math.isfinite(high) or high <= low:
        low, high = 0.0, 1.0
    step = _round_step((high - low) / 5)
    first = math.ceil(low / step) * step
    ticks = [first + step * index for index in range(7) if first + step * index <= high + step * 1e-9]
    span = high - low
    return Axis(label, [(tick, number(tick)) for tick in ticks], lambda value: (value - low) / span)


def percentile_axis(highest: float) -> Axis:
    """Percentiles on the logarithmic axis that HdrHistogram's plots use: equal steps for 0, 90, 99,
    99.9 … up to `highest` (< 100)."""
    nines = max(2, min(6, math.ceil(-math.log10(max(1e-6, 1 - min(highest, 99.9999) / 100)))))
    ticks = [(0.0, "0 %")] + [(100 * (1 - 10.0**-n), _percentile_name(n)) for n in range(1, nines + 1)]

    def place(percentile: float) -> float:
        remaining = max(10.0**-nines, 1 - percentile / 100)
        return -math.log10(remaining) / nines

    return Axis("percentile", ticks, place)


def escape(text: str) -> str:
    """Text of a picture: it goes into the page as it is, past the template's own escaping."""
    return escape_html(plain(text))


def line_chart(
    title: str,
    description: str,
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    bands: Sequence[Band] = (),
) -> str:
    """Up to six lines over one pair of axes, with a legend when there is more than one."""
    parts = [_frame(x, y)]
    for band in bands:
        left, right = _x(x, band.start), _x(x, band.end)
        parts.append(
            f'<rect class="band" x="{left:.1f}" y="{TOP}" width="{max(1.0, right - left):.1f}"'
            f' height="{HEIGHT - TOP - BOTTOM}"><title>{escape(band.name)}</title></rect>'
        )
    for index, line in enumerate(series[:6]):
        points = " ".join(
            f"{_x(x, px):.1f},{_y(y, py):.1f}"
            for px, py in line.points
            if math.isfinite(px) and math.isfinite(py)
        )
        parts.append(
            f'<polyline class="line l{index}" points="{points}"><title>{escape(line.name)}</title></polyline>'
        )
    return figure(title, description, "".join(parts), [line.name for line in series[:6]])


def strip(outcomes: Sequence[str]) -> str:
    """A row of small squares, oldest first, one a run: how a test ended in its last runs."""
    squares = "".join(
        f'<rect class="s-{escape(outcome)}" x="{index * 9}" y="0" width="8" height="12"><title>{escape(outcome)}</title></rect>'
        for index, outcome in enumerate(outcomes)
    )
    label = f"last {len(outcomes)} outcomes: {', '.join(outcomes)}"
    return f'<svg class="strip" role="img" aria-label="{escape(label)}" width="{len(outcomes) * 9}" height="12">{squares}</svg>'


def sparkline(shares: Sequence[float]) -> str:
    """Shares between 0 and 1 as a small line, oldest first; empty for fewer than two."""
    if len(shares) < 2:
        return ""
    width, height = 120, 16
    step = width / (len(shares) - 1)
    points = " ".join(
        f"{index * step:.1f},{(1 - min(1.0, max(0.0, share))) * (height - 2) + 1:.1f}"
        for index, share in enumerate(shares)
    )
    label = f"infrastructure health, now {shares[-1] * 100:.1f} %"
    return (
        f'<svg class="strip" role="img" aria-label="{escape(label)}" width="{width}" height="{height}">'
        f'<polyline class="line l0" points="{points}"/></svg>'
    )


def figure(title: str, description: str, body: str, legend: Sequence[str], height: int = HEIGHT) -> str:
    """An SVG in a figure with caption and legend."""
    keys = "".join(
        f'<li><span class="key k{index}"></span>{escape(name)}</li>' for index, name in enumerate(legend)
    )
    names = f'<ul class="legend">{keys}</ul>' if len(legend) > 1 else ""
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(f"{title}. {description}")}">'
        f"{body}</svg>{names}</figure>"
    )


def short_name(test: str) -> str:
    """A test's name as a caption: the function without its prefix, in words."""
    return test.rpartition("::")[2].removeprefix("test_").replace("_", " ")


def number(value: float) -> str:
    """A short tick label: 0.25, 3, 1.5k, 2M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):g}{unit}"
    return f"{value:.6g}"


def _frame(x: Axis, y: Axis) -> str:
    parts = []
    for tick, name in y.ticks:
        top = _y(y, tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{top:.1f}" y2="{top:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{top + 4:.1f}" text-anchor="end">{escape(name)}</text>')
    for tick, name in x.ticks:
        left = _x(x, tick)
        anchor = "end" if left > WIDTH - RIGHT - 12 else "middle"
        parts.append(
            f'<text x="{left:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="{anchor}">{escape(name)}</text>'
        )
    parts.append(
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}"/>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{escape(x.label)}</text>'
        f'<text x="12" y="{TOP + (HEIGHT - TOP - BOTTOM) / 2:.0f}" text-anchor="middle"'
        f' transform="rotate(-90 12 {TOP + (HEIGHT - TOP - BOTTOM) / 2:.0f})">{escape(y.label)}</text>'
    )
    return "".join(parts)


def _x(axis: Axis, value: float) -> float:
    return LEFT + min(1.0, max(0.0, axis.place(value))) * (WIDTH - LEFT - RIGHT)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - min(1.0, max(0.0, axis.place(value))) * (HEIGHT - TOP - BOTTOM)


def _round_step(raw: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    return next(unit * magnitude for unit in (1, 2, 2.5, 5, 10) if unit * magnitude >= raw * (1 - 1e-9))


def _percentile_name(nines: int) -> str:
    return "90 %" if nines == 1 else f"{100 * (1 - 10.0**-nines):.{max(0, nines - 2)}f} %"
