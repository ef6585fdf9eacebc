"""What was said against what is expected. Pure."""

import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from benchmarks.detection.model import NOTHING_ABOVE, Draw, Expected, Outcome, Said

ALTERNATIVES = Path(__file__).with_name("alternatives.toml")


@cache
def _alternatives() -> tuple[tuple[str, str, str, str], ...]:
    """(expected cause, expected place, found cause, found place); `*` is any place. Each has a reason."""
    entries = tomllib.loads(ALTERNATIVES.read_text(encoding="utf-8")).get("alternative", [])
    for entry in entries:
        if not entry.get("reason"):
            raise ValueError(f"An alternative without a reason: {entry}.")
    return tuple(
        (str(item["expected"][0]), str(item["expected"][1]), str(item["found"][0]), str(item["found"][1]))
        for item in entries
    )


def judge(draw: Draw, said: Sequence[Said], *, effective: bool = True) -> Outcome:
    """How a draw came out. Findings below P3 do not exist, so all of them count. A draw whose fault was
    seen to have no effect may give nothing above P3, and is counted apart."""
    if draw.control or not effective:
        bad = [item for item in said if draw.control or item.priority < NOTHING_ABOVE]
        return Outcome(
            right=not bad,
            all_found=not bad,
            extra=tuple(map(str, bad)),
            wrong_p0=tuple(str(item) for item in bad if item.priority == "P0"),
        )
    matches = [_match(item, draw) for item in said]
    found = {expected for expected, _ in matches if expected is not None}
    missing = [expected for expected in draw.expected if expected not in found]
    extra = [item for item, (expected, _) in zip(said, matches, strict=True) if expected is None]
    why = _why(draw, said, matches) if said and matches[0][0] is not None else "the first finding is another"
    complete = not missing if len(draw.expected) > 1 else bool(said) and matches[0][0] is not None
    return Outcome(
        right=bool(said) and matches[0][0] is not None and complete and (draw.case is None or not why),
        all_found=not missing,
        extra=tuple(map(str, extra)),
        wrong_p0=tuple(str(item) for item in extra if item.priority == "P0"),
        missing=tuple(map(str, missing)),
        alternatives=sum(alternative for _, alternative in matches),
        why=why,
    )


def _match(said: Said, draw: Draw) -> tuple[Expected | None, bool]:
    """The expectation that a finding meets, and whether by an alternative."""
    for expected in draw.expected:
        if said.cause == expected.cause.value and _place(said, expected.place) and _of(said, expected, draw):
            return expected, False
    for expected in draw.expected:
        for cause, place, other, elsewhere in _alternatives():
            if (
                (expected.cause.value, said.cause) == (cause, other)
                and place in ("*", expected.place)
                and (elsewhere == "any" or _place(said, expected.place if elsewhere == "*" else elsewhere))
                and _of(said, expected, draw)
            ):
                return expected, True
    return None, False


def _of(said: Said, expected: Expected, draw: Draw) -> bool:
    named = expected.names is None or expected.names in " ".join((said.title, *said.remedy))
    return named and _instance(said, expected, draw)


def _place(said: Said, place: str) -> bool:
    return place in (said.place, said.edge)


def _instance(said: Said, expected: Expected, draw: Draw) -> bool:
    """The instance must be the right one; where the target file tells none apart, none may be named."""
    if expected.instance is None:
        return said.instance is None
    return said.instance == expected.instance or (draw.blind and said.instance is None)


def _why(draw: Draw, said: Sequence[Said], matches: Sequence[tuple[Expected | None, bool]]) -> str:
    """What is wrong beside kind and place: a priority, or a remedy that does not name the thing."""
    for item, (expected, _) in zip(said, matches, strict=True):
        if expected is None:
            continue
        if expected.priority and item.priority != expected.priority:
            return f"{item} should be {expected.priority}"
        text = " ".join((item.title, *item.remedy)).lower()
        if expected.remedy and expected.remedy.lower() not in text:
            return f"the remedy of {item} does not name {expected.remedy!r}"
    return ""
