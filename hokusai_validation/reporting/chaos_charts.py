"""The timeline of an experiment: probes, the slowest `/live`, breaker and health states, and when the
fault was on. Drawn from the row's journal."""

from collections.abc import Callable

from hokusai_validation.journal import ProbeRoute, Timeline, timeline_of
from hokusai_validation.reporting.charts import LEFT, RIGHT, WIDTH, escape, figure, linear_axis, short_name
from hokusai_validation.reporting.escape import one_line
from hokusai_validation.result import Result

ROW, BAR, AXIS = 26, 14, 30
Place = Callable[[float], float]


def timeline(row: Result) -> str:
    """The picture of a row's journal; empty where it has none."""
    content = timeline_of(row.evidence)
    return _draw(row, content) if content is not None and content.duration_s > 0 else ""


def _draw(row: Result, content: Timeline) -> str:
    axis = linear_axis("seconds", 0.0, content.duration_s)

    def at(t_s: float) -> float:
        return LEFT + 60 + min(1.0, max(0.0, axis.place(t_s))) * (WIDTH - LEFT - 60 - RIGHT)

    lanes = [f"probe {item.route}" for item in content.probes] + ["health", "breaker"]
    height = ROW * len(lanes) + AXIS + 10
    parts = []
    for fault in content.faults:
        end = content.duration_s if fault.off_s is None else fault.off_s
        name = f"{fault.fault}, {fault.on_s:.1f} s to {'the end' if fault.off_s is None else f'{end:.1f} s'}"
        parts.append(
            f'<rect class="band" x="{at(fault.on_s):.1f}" y="4" width="{max(1.5, at(end) - at(fault.on_s)):.1f}"'
            f' height="{height - AXIS - 4}"><title>{escape(one_line(name))}</title></rect>'
        )
    for number, lane in enumerate(lanes):
        y = 8 + number * ROW
        parts.append(
            f'<text x="{LEFT + 54}" y="{y + 11}" text-anchor="end">{escape(one_line(lane, 24))}</text>'
        )
        if number < len(content.probes):
            parts += _probes(content.probes[number], y, at, content.duration_s)
        else:
            parts += _states(content, lane, y, at)
    for tick, name in axis.ticks:
        parts.append(
            f'<text x="{at(tick):.1f}" y="{height - 14}" text-anchor="middle">{escape(name)} s</text>'
        )
    availability = row.metrics.get("availability")
    recovery = row.metrics.get("recovery_s")
    said = [f"faults: {', '.join(fault.fault for fault in content.faults) or 'none'}"]
    said += [f"availability {availability * 100:.1f} %"] if availability is not None else []
    said += [f"recovered {recovery:.2f} s after the undo"] if recovery is not None else []
    title = f"{row.id} {short_name(row.test)}: {one_line('; '.join(said))}"
    return figure(title, "; ".join(_words(content)), "".join(parts), [], height)


def _probes(route: ProbeRoute, y: int, at: Place, duration_s: float) -> list[str]:
    points = route.points
    bars = []
    for number, point in enumerate(points):
        end = points[number + 1].t_s if number + 1 < len(points) else duration_s
        share = point.good / point.due if point.due else 0.0
        kind = "passed" if share == 1.0 else "failed" if share == 0.0 else "broken"
        bars.append(
            f'<rect class="s-{kind}" x="{at(point.t_s):.1f}" y="{y}" width="{max(1.0, at(end) - at(point.t_s)):.1f}"'
            f' height="{BAR}"><title>{point.good} of {point.due} good at {point.t_s:.1f} s</title></rect>'
        )
    return bars


def _states(content: Timeline, lane: str, y: int, at: Place) -> list[str]:
    good = {"health": "healthy", "breaker": "CLOSED"}[lane]
    parts = []
    states = [(item.t_s, item.health if lane == "health" else item.breaker) for item in content.states]
    for number, (begin, value) in enumerate(states):
        end = states[number + 1][0] if number + 1 < len(states) else content.duration_s
        kind = "skipped" if value is None else "passed" if value == good else "failed"
        kind = "broken" if value in ("degraded", "HALF_OPEN") else kind
        parts.append(
            f'<rect class="s-{kind}" x="{at(begin):.1f}" y="{y + 3}" width="{max(1.0, at(end) - at(begin)):.1f}"'
            f' height="{BAR - 6}"><title>{escape(one_line(value or "no answer"))} from {begin:.1f} s</title></rect>'
        )
    return parts


def _words(content: Timeline) -> list[str]:
    """The same for a reader who can't see the picture."""
    words = [
        f"{fault.fault} on from {fault.on_s:.1f} s to {fault.off_s:.1f} s"
        for fault in content.faults
        if fault.off_s is not None
    ]
    for route in content.probes:
        good, due = sum(p.good for p in route.points), sum(p.due for p in route.points)
        words.append(f"probe {route.route}: {good} of {due} good")
    words += [f"{item.health}/{item.breaker} at {item.t_s:.1f} s" for item in content.states[:20]]
    return words
