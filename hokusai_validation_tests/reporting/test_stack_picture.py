"""The stack's picture: no line touches a box that is not one of its ends."""

from collections.abc import Mapping
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.report import NodeState, StackNode
from hokusai_validation.reporting.stack_picture import (
    BOX_HEIGHT,
    BOX_WIDTH,
    WIDTH,
    Point,
    _places,
    picture,
    routes,
)
from hokusai_validation.topology import DEFAULT_TOPOLOGY

NAMES = [f"part-{number}" for number in range(12)]


def nodes(edges: Mapping[str, list[str]]) -> list[StackNode]:
    return [
        StackNode(name=name, depends_on=tuple(below), state=NodeState.WORKING)
        for name, below in edges.items()
    ]


def crosses(begin: Point, end: Point, box: Point) -> bool:
    """Whether a segment has a point within a box, looked at every few pixels and at its ends."""
    steps = 200
    return any(
        box[0] < begin[0] + share * (end[0] - begin[0]) < box[0] + BOX_WIDTH
        and box[1] < begin[1] + share * (end[1] - begin[1]) < box[1] + BOX_HEIGHT
        for share in (step / steps for step in range(steps + 1))
    )


def check(drawn: list[StackNode]) -> None:
    places = _places(drawn)
    for (upper, lower), points in routes(drawn, places).items():
        for begin, end in pairwise(points):
            for name, box in places.items():
                assert not crosses(begin, end, box), f"{upper}->{lower} goes through {name}"
        assert all(0 <= x <= WIDTH for x, _ in points)


def test_the_contracts_stack() -> None:
    check(nodes({name: list(part.depends_on) for name, part in DEFAULT_TOPOLOGY.items()}))


@given(
    st.dictionaries(
        st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=5, unique=True), min_size=1
    )
)
def test_any_stack(edges: dict[str, list[str]]) -> None:
    drawn = nodes(edges)
    check(drawn)
    assert picture(drawn, ()).count("<polyline") == sum(
        below in edges and below != name for name, all_below in edges.items() for below in all_below
    )
