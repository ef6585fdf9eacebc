"""The pictures of a load run: percentile curve, latency and resources over time."""

from collections.abc import Sequence

from hokusai_validation.report import Performance
from hokusai_validation.reporting.charts import Series, line_chart, linear_axis, percentile_axis, short_name

# How the numbers of a second are grouped into pictures, by the unit at the end of their names.
GROUPS = (
    ("_ms", "Latency over time", "ms"),
    ("_per_s", "Rate over time", "per second"),
    ("_percent", "CPU over time", "% of a core"),
    ("_reserved", "CPU and memory over time", "% of what the service reserves"),
    ("_mb", "Memory over time", "MB"),
    ("_connections", "Connections over time", "connections"),
    ("_errors", "Errors over time", "errors"),
    ("_triggers", "Breaker triggers", "triggers"),
)


def percentile_curves(items: Sequence[Performance]) -> str:
    """The curves of one test's runs on one picture; empty without any."""
    drawn = [item for item in items if item.curve]
    if not drawn:
        return ""
    highest = max(max(percentile for percentile, _ in item.curve if percentile < 100) for item in drawn)
    slowest = max(latency for item in drawn for _, latency in item.curve)
    lines = [Series(f"{item.model}, {item.endpoint}", item.curve) for item in drawn]
    facts = "; ".join(
        f"{item.model}: p50 {_ms(item.p50_ms)}, p99 {_ms(item.p99_ms)}, max {_ms(item.max_ms)}"
        for item in drawn
    )
    return line_chart(
        f"{short_name(drawn[0].test)}: latency by percentile",
        facts,
        lines,
        percentile_axis(highest),
        linear_axis("ms", 0.0, slowest * 1.05),
    )


def over_time(item: Performance) -> tuple[str, ...]:
    """One picture a unit that the run sampled each second."""
    names = sorted({name for second in item.series for name in second} - {"t_s"})
    pictures = []
    for suffix, title, unit in GROUPS:
        lines = [
            Series(name, [(second["t_s"], second[name]) for second in item.series if name in second])
            for name in names
            if name.endswith(suffix)
        ]
        lines = [line for line in lines if line.points][:6]
        if lines:
            end = max(second.get("t_s", 0.0) for second in item.series)
            top = max(value for line in lines for _, value in line.points)
            pictures.append(
                line_chart(
                    f"{short_name(item.test)} ({item.model}, {item.endpoint}): {title}",
                    ", ".join(f"{line.name} up to {max(v for _, v in line.points):.3g}" for line in lines),
                    lines,
                    linear_axis("seconds", 0.0, max(1.0, end)),
                    linear_axis(unit, 0.0, max(top * 1.05, 1e-3)),
                )
            )
    return tuple(pictures)


def _ms(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1f} ms"
