"""What of ours stays in a target stands in the headline, with the commands that remove it."""

from hokusai_validation.diagnosis.left_behind import LEFT_BEHIND, SHOWN, left_behind, still_there
from hokusai_validation.result import Result
from hokusai_validation_tests.diagnosis.rows import row


def _row(name: str, *left: tuple[str, bool]) -> Result:
    things = [{"what": what, "command": f"curl {what}", "seen": seen} for what, seen in left]
    return row(name).model_copy(update={"evidence": {LEFT_BEHIND: things}})


def test_nothing_is_said_where_nothing_stays() -> None:
    assert still_there([row("test_version_info")]) == ""


def test_what_was_seen_is_said_with_its_command_and_what_nobody_could_look_for_is_counted() -> None:
    rows = [
        _row("test_version_info", ("model a", True), ("b", False)),
        _row("test_up", ("model a", True), ("c", False)),
    ]
    assert still_there(rows) == (
        "1 thing of ours still in the target: model a (remove it: curl model a)."
        " 2 things of ours may be in the target: nobody could look"
    )
    assert [(each.what, each.seen) for each in left_behind(rows)] == [
        ("model a", True),
        ("b", False),
        ("c", False),
    ]


def test_a_headline_names_some() -> None:
    told = still_there([_row("test_version_info", *((f"model {n}", True) for n in range(SHOWN + 2)))])
    assert told.count("remove it: ") == SHOWN
    assert told.endswith("; and 2 more")
