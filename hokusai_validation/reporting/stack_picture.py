"""The stack as a picture: who stands on whom, what is at fault, and the way that the failure took.

State is told by a mark and a word beside the colour, and the way by thick dashed lines, so that it
reads without colour; at most three parts stand in a row, so that it reads on a phone.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from hokusai_validation.report import Finding, NodeState, StackNode
from hokusai_validation.reporting.charts import escape
from hokusai_validation.reporting.escape import one_line

WIDTH = 440
PER_ROW = 3
BOX_WIDTH, BOX_HEIGHT = 124, 40
GAP = 34  # between two rows; between two boxes of a full row there are 22
ROOM = 7  # between a line and a box that it passes, where there is as much
LANE = 6  # between two lines that pass a row side by side

Point = tuple[float, float]
Places = Mapping[str, Point]

_MARKS = {
    NodeState.WORKING: ("passed", "✔ works"),
    NodeState.CAUSE: ("failed", "✘ cause"),
    NodeState.AFFECTED: ("broken", "↯ affected"),
    NodeState.NOT_SEEN: ("skipped", "? not seen"),
    NodeState.ABSENT: ("skipped", "– not deployed"),
}


def picture(nodes: Sequence[StackNode], findings: Sequence[Finding], only: Finding | None = None) -> str:
    """The picture of a whole report, or of one finding of it (`only`: other causes are drawn as
    parts that were not looked at). Empty where no topology is known."""
    if not nodes:
        return ""
    shown = [_as_seen_by(node, only) for node in nodes] if only is not None else list(nodes)
    places = _places(shown)
    height = max(y for _, y in places.values()) + BOX_HEIGHT + GAP / 2 + 6
    by_name = {node.name: node for node in shown}
    keys = [only.key] if only is not None else [finding.key for finding in findings]
    lines = [
        _line(points, on_way=_on_way(by_name[upper], by_name[lower], keys))
        for (upper, lower), points in routes(shown, places).items()
    ]
    boxes = [_box(node, places[node.name], _since(node, findings)) for node in shown]
    said = "; ".join(f"{node.name}: {node.state}" for node in shown)
    title = "Who stands on whom" if only is None else f"How far it reached: {one_line(only.title, 120)}"
    return (
        f'<figure class="stack"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(f"{title}. {said}")}">'
        f"{''.join(sorted(lines))}{''.join(boxes)}</svg></figure>"
    )


def _as_seen_by(node: StackNode, finding: Finding) -> StackNode:
    mine, reached = finding.key in node.findings, finding.key in node.reached_by
    if mine or node.state in (NodeState.WORKING, NodeState.ABSENT, NodeState.NOT_SEEN):
        return node
    return node.model_copy(update={"state": NodeState.AFFECTED if reached else NodeState.NOT_SEEN})


def _on_way(upper: StackNode, lower: StackNode, keys: Sequence[str]) -> bool:
    return any(key in upper.reached_by and (key in lower.findings or key in lower.reached_by) for key in keys)


def _places(nodes: Sequence[StackNode]) -> dict[str, Point]:
    """The upper left corner of every box: rank by rank, each part below all that stand on it."""
    ranks = _ranks(nodes)
    places: dict[str, Point] = {}
    y = 4.0
    for rank in sorted(set(ranks.values())):
        names = [node.name for node in nodes if ranks[node.name] == rank]
        names.sort(key=lambda name: _wanted_x(name, nodes, places))
        for start in range(0, len(names), PER_ROW):
            row = names[start : start + PER_ROW]
            step = WIDTH / len(row)
            for index, name in enumerate(row):
                places[name] = (step * (index + 0.5) - BOX_WIDTH / 2, y)
            y += BOX_HEIGHT + GAP
    return places


def _ranks(nodes: Sequence[StackNode]) -> dict[str, int]:
    """The longest way down to each part; a ring of dependencies ends where it would go round."""
    below = {node.name: [name for name in node.depends_on if name != node.name] for node in nodes}
    ranks = dict.fromkeys(below, 0)
    for _ in range(len(below)):
        moved = False
        for name, names in below.items():
            for lower in names:
                if lower in ranks and ranks[lower] <= ranks[name] < len(below):
                    ranks[lower] = ranks[name] + 1
                    moved = True
        if not moved:
            break
    return ranks


def _wanted_x(name: str, nodes: Sequence[StackNode], places: Places) -> float:
    """Below the middle of those that stand on it."""
    above = [places[node.name][0] for node in nodes if name in node.depends_on and node.name in places]
    return sum(above) / len(above) if above else 0.0


def routes(nodes: Sequence[StackNode], places: Places) -> Mapping[tuple[str, str], tuple[Point, ...]]:
    """The corners of each edge's line. It passes the rows between its ends where no box stands, and
    leaves and reaches a box from below or above: it touches no box but those two."""
    edges = [
        (node.name, below)
        for node in nodes
        for below in dict.fromkeys(node.depends_on)
        if below in places and below != node.name
    ]
    rows = sorted({y for _, y in places.values()})
    taken: dict[tuple[float, float], int] = {}
    found: dict[tuple[str, str], tuple[Point, ...]] = {}
    for upper, lower in edges:
        (x1, y1), (x2, y2) = sorted((places[upper], places[lower]), key=lambda place: place[1])
        start, end = (x1 + BOX_WIDTH / 2, y1 + BOX_HEIGHT), (x2 + BOX_WIDTH / 2, y2)
        if y1 == y2:
            under = y1 + BOX_HEIGHT + GAP / 2
            found[upper, lower] = (start, (start[0], under), (end[0], under), (end[0], y2 + BOX_HEIGHT))
            continue
        points = [start]
        for row in rows:
            if y1 < row < y2:
                share = (row - y1) / (y2 - y1)
                straight = start[0] + share * (end[0] - start[0])
                begin, end_of_gap = _gap(straight, row, places)
                lane = taken[begin, row] = taken.get((begin, row), 0) + 1
                aside = lane // 2 * LANE * (1 if lane % 2 else -1)
                edge = min(ROOM, (end_of_gap - begin) / 2)
                x = min(max(straight + aside, begin + edge), end_of_gap - edge)
                points += [(x, row - 3), (x, row + BOX_HEIGHT + 3)]
        found[upper, lower] = (*points, end)
    return found


def _gap(wanted: float, row: float, places: Places) -> tuple[float, float]:
    """Where a line may pass a row: the sides of the gap between its boxes, or beside them, that is
    nearest."""
    left = sorted(x for x, y in places.values() if y == row)
    sides = [0.0, *(side for x in left for side in (x, x + BOX_WIDTH)), float(WIDTH)]
    gaps = zip(sides[::2], sides[1::2], strict=True)
    return min(gaps, key=lambda gap: max(gap[0] - wanted, wanted - gap[1], 0.0))


def _line(points: Sequence[Point], *, on_way: bool) -> str:
    kind = "way" if on_way else "edge"  # sorts the way behind the edges, so that it is drawn over them
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.0f},{y:.0f}" for x, y in points)}"/>'


def _box(node: StackNode, place: tuple[float, float], since: datetime | None) -> str:
    x, y = place
    style, mark = _MARKS[node.state]
    said = f"{mark} since {since:%H:%M}" if since is not None else mark
    optional = " optional" if node.optional else ""
    return (
        f'<g class="node s-{style}{optional}"><rect x="{x:.0f}" y="{y:.0f}" width="{BOX_WIDTH}"'
        f' height="{BOX_HEIGHT}" rx="5"/>'
        f'<text class="name" x="{x + BOX_WIDTH / 2:.0f}" y="{y + 16:.0f}">{escape(one_line(node.name, 18))}</text>'
        f'<text x="{x + BOX_WIDTH / 2:.0f}" y="{y + 31:.0f}">{escape(said)}</text></g>'
    )


def _since(node: StackNode, findings: Sequence[Finding]) -> datetime | None:
    times = [each.since for each in findings if each.key in node.findings and each.since is not None]
    return min(times) if node.state is NodeState.CAUSE and times else None
