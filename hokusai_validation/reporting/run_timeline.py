"""The time line of a run: its phases, our faults on and off, and when tests failed."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from hokusai_validation.journal import timeline_of
from hokusai_validation.report import Report
from hokusai_validation.reporting.charts import LEFT, RIGHT, WIDTH, escape, figure, linear_axis
from hokusai_validation.reporting.escape import one_line
from hokusai_validation.result import Phase, Result, Status

ROW, BAR, AXIS, INDENT = 24, 12, 30, 30
Place = Callable[[datetime], float]


def run_timeline(report: Report) -> str:
    """The picture; empty where no row of this run was executed. Rows that were read back from
    earlier runs are left out: they belong to another time."""
    rows = [row for row in report.results if row.run_id == report.run_id and row.executed]
    if not rows:
        return ""
    begin = min(row.started_at for row in rows)
    end = max(_end(row) for row in rows)
    total_s = max(0.001, (end - begin).total_seconds())
    axis = linear_axis("seconds", 0.0, total_s)

    def at(moment: datetime) -> float:
        share = axis.place((moment - begin).total_seconds())
        return LEFT + INDENT + min(1.0, max(0.0, share)) * (WIDTH - LEFT - INDENT - RIGHT)

    lanes = [phase for phase in Phase if any(row.phase is phase for row in rows)]
    height = ROW * (len(lanes) + 1) + AXIS
    parts: list[str] = []
    for number, phase in enumerate(lanes):
        parts += _lane(phase, [row for row in rows if row.phase is phase], 6 + number * ROW, at)
    parts += _faults(rows, 6 + len(lanes) * ROW, at)
    parts += [
        f'<text x="{at(begin + timedelta(seconds=tick)):.1f}" y="{height - 10}" text-anchor="middle">'
        f"{escape(name)} s</text>"
        for tick, name in axis.ticks
    ]
    failed = sum(row.status is Status.FAILED for row in rows)
    said = ", ".join(f"{phase} {_seconds(rows, phase):.1f} s" for phase in lanes)
    title = f"The run from {begin:%H:%M:%S}: {total_s:.0f} s"
    return figure(title, f"{said}; {failed} attempts failed", "".join(parts), [], height)


def _lane(phase: Phase, rows: Sequence[Result], y: int, at: Place) -> list[str]:
    begin, end = min(row.started_at for row in rows), max(_end(row) for row in rows)
    parts = [
        f'<text x="{LEFT + INDENT - 6}" y="{y + 10}" text-anchor="end">{escape(phase.value)}</text>',
        f'<rect class="span" x="{at(begin):.1f}" y="{y}" width="{max(1.0, at(end) - at(begin)):.1f}"'
        f' height="{BAR}"><title>{escape(phase.value)}, {(end - begin).total_seconds():.1f} s</title></rect>',
    ]
    for row in rows:
        if row.status is Status.FAILED:
            said = one_line(f"{row.id} {row.message}", 160)
            parts.append(
                f'<rect class="s-failed" x="{at(row.started_at):.1f}" y="{y - 2}"'
                f' width="{max(1.5, at(_end(row)) - at(row.started_at)):.1f}" height="{BAR + 4}"'
                f' fill-opacity="0.7"><title>{escape(said)}</title></rect>'
            )
    return parts


def _faults(rows: Sequence[Result], y: int, at: Place) -> list[str]:
    parts = [f'<text x="{LEFT + INDENT - 6}" y="{y + 10}" text-anchor="end">our faults</text>']
    for row in rows:
        content = timeline_of(row.evidence)
        for fault in content.faults if content is not None else ():
            on = row.started_at + timedelta(seconds=fault.on_s)
            off = _end(row) if fault.off_s is None else row.started_at + timedelta(seconds=fault.off_s)
            said = one_line(f"{row.id}: {fault.fault}{' (orphaned)' if fault.off_s is None else ''}", 160)
            parts.append(
                f'<rect class="band" x="{at(on):.1f}" y="{y}" width="{max(1.5, at(off) - at(on)):.1f}"'
                f' height="{BAR}"><title>{escape(said)}</title></rect>'
            )
    return parts


def _end(row: Result) -> datetime:
    return row.started_at + timedelta(seconds=row.duration_s)


def _seconds(rows: Sequence[Result], phase: Phase) -> float:
    mine = [row for row in rows if row.phase is phase]
    return (max(_end(row) for row in mine) - min(row.started_at for row in mine)).total_seconds()
