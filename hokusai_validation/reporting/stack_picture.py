"""The stack as a picture: who stands on whom, what is at fault, and the way that the failure took.

State is told by a mark and a word beside the colour, and the way by thick dashed lines, so that it
reads without colour; at most three parts stand in a row, so that it reads on a phone.
"""

from collections.abc import Sequence
from datetime import datetime

from hokusai_validation.report import Finding, NodeState, StackNode
from hokusai_validation.reporting.charts import escape
from hokusai_validation.reporting.escape import one_line

WIDTH = 380
PER_ROW = 3
BOX_WIDTH, BOX_HEIGHT = 122, 40
GAP = 34

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
    height = max(y for _, y in places.values()) + BOX_HEIGHT + 6
    by_name = {node.name: node for node in shown}
    keys = [only.key] if only is not None else [finding.key for finding in findings]
    lines: list[str] = []
    boxes: list[str] = []
    for node in shown:
        lines += [
            _line(places[node.name], places[below], on_way=_on_way(node, by_name[below], keys))
            for below in node.depends_on
            if below in places
        ]
        boxes.append(_box(node, places[node.name], _since(node, findings)))
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


def _places(nodes: Sequence[StackNode]) -> dict[str, tuple[float, float]]:
    """The upper left corner of every box: rank by rank, each part below all that stand on it."""
    ranks = _ranks(nodes)
    places: dict[str, tuple[float, float]] = {}
    y = 4.0
    for rank in sorted(set(ranks.values())):
        names = [node.name for node in nodes if ranks[node.name] == rank]
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


def _line(upper: tuple[float, float], lower: tuple[float, float], *, on_way: bool) -> str:
    x1, y1 = upper[0] + BOX_WIDTH / 2, upper[1] + BOX_HEIGHT
    x2, y2 = lower[0] + BOX_WIDTH / 2, lower[1]
    kind = "way" if on_way else "edge"  # sorts the way behind the edges, so that it is drawn over them
    return f'<line class="{kind}" x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}"/>'


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
