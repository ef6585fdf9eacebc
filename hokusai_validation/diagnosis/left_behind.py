"""What of ours is in the target that should not be, as rows tell it: what stays, with the command that
removes it, and what an earlier run had left: what a test of it had changed was put right before anything was
judged, what it had named is removed behind the tests.

A row says so in `evidence["left_behind"]`, a list of objects with `what` and `command`, and in
`evidence["killed_run"]`, an object with `names` (things), `tests` (that changed the target's state and did not
end) and `settled` (whether the state came back)."""

from collections.abc import Iterable, Mapping

from hokusai_validation.report import LeftBehind
from hokusai_validation.result import Result

LEFT_BEHIND = "left_behind"
KILLED_RUN = "killed_run"
SHOWN = 3


def left_behind(rows: Iterable[Result]) -> tuple[LeftBehind, ...]:
    """What stays, each once."""
    left: dict[str, LeftBehind] = {}
    for row in rows:
        for each in _objects(row.evidence.get(LEFT_BEHIND)):
            what, command = str(each.get("what", "something")), str(each.get("command", ""))
            left.setdefault(what, LeftBehind(what=what, command=command, seen=each.get("seen") is not False))
    return tuple(left.values())


def still_there(rows: Iterable[Result]) -> str:
    """What stays, with the commands that remove it, and how much may be there beside it, in a sentence; empty
    where nothing stays."""
    left = left_behind(rows)
    seen = [each for each in left if each.seen]
    said = [
        f"{each.what} (remove it: {each.command})" if each.command else each.what for each in seen[:SHOWN]
    ]
    more = f"; and {len(seen) - SHOWN} more" if len(seen) > SHOWN else ""
    parts = (
        [f"{_number(len(seen), 'thing')} of ours still in the target: {'; '.join(said)}{more}"]
        if seen
        else []
    )
    if len(seen) < len(left):
        parts.append(
            f"{_number(len(left) - len(seen), 'thing')} of ours may be in the target: nobody could look"
        )
    return ". ".join(parts)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def of_a_killed_run(rows: Iterable[Result]) -> str:
    """A sentence about a state that an earlier run had left; empty where none was killed in a test."""
    tests: dict[str, None] = {}
    settled = True
    for each in _left(rows):
        tests |= dict.fromkeys(_texts(each.get("tests")))
        settled = settled and each.get("settled") is not False
    if not tests:
        return ""
    done = "it was put right first" if settled else "the target did not come back, which may be of that"
    changed = ", ".join(list(tests)[:SHOWN])
    return f"A run that was killed had left the target as {changed} had changed it; {done}"


def named_before(rows: Iterable[Result]) -> str:
    """A sentence about things that an earlier run may have left; empty where none did."""
    names = {name for each in _left(rows) for name in _texts(each.get("names"))}
    if not names:
        return ""
    given = "1 name that it gave" if len(names) == 1 else f"{len(names)} names that it gave"
    return f"An earlier run may have left models and experiments behind, under {given}"


def _left(rows: Iterable[Result]) -> list[Mapping[str, object]]:
    return _objects([row.evidence.get(KILLED_RUN) for row in rows])


def _objects(value: object) -> list[Mapping[str, object]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []
