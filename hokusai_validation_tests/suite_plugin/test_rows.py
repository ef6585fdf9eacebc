"""67 = 67, whatever came back; and rows that survive a kill in the middle of a line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.catalogue import Entry, entries, needs
from hokusai_validation.errors import UsageError
from hokusai_validation.result import Phase, Result, Status
from hokusai_validation.runner.rows import complete, file_sink, read_rows, unrun
from hokusai_validation.runner.selection import SUITE_DIR, Selection, entries_in
from hokusai_validation.target import Target

ALL = entries()


def row(entry: Entry, status: Status = Status.PASSED) -> Result:
    return unrun(entry, run_id="r", target="t", status=status, message="")


@given(
    reported=st.sets(st.sampled_from(range(len(ALL)))),
    asked=st.sets(st.sampled_from(list(Phase))),
)
def test_every_entry_has_a_row_and_none_twice(reported: set[int], asked: set[Phase]) -> None:
    present = [row(ALL[number]) for number in sorted(reported)]
    added = complete(present, scope=ALL, asked=lambda entry: entry.phase in asked, run_id="r", target="t")
    names = [each.test for each in (*present, *added)]
    assert sorted(names) == sorted(entry.test for entry in ALL)
    for each in added:
        expected = (
            (Status.BROKEN, "never reported") if each.phase in asked else (Status.SKIPPED, "not selected")
        )
        assert (each.status, each.message) == expected


def test_why_a_row_is_missing_is_said() -> None:
    (added,) = complete(
        [], scope=ALL[:1], asked=lambda _: True, run_id="r", target="t", why=lambda _: "it died"
    )
    assert added.message == "never reported: it died"


def test_rows_are_on_disk_at_once_and_a_cut_line_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    send = file_sink(file)
    send(row(ALL[0]))
    send(row(ALL[1]))
    assert [each.test for each in read_rows(file)] == [ALL[0].test, ALL[1].test]
    with file.open("ab") as out:
        out.write(row(ALL[2]).model_dump_json().encode()[:-40])
    assert len(read_rows(file)) == 2
    assert read_rows(tmp_path / "none") == ()


def test_a_file_that_cannot_be_opened_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Rows can't be written to"):
        file_sink(tmp_path / "no" / "such" / "folder.jsonl")


def test_critical_only_leaves_the_others_in_scope() -> None:
    selection = Selection(phases=(Phase.HEALTH,), critical_only=True)
    scope = selection.scope
    assert {entry.phase for entry in scope} == {Phase.HEALTH}
    assert any(not selection.wants(entry) for entry in scope)
    assert all(entry.critical for entry in scope if selection.wants(entry))


def test_the_suites_files_are_known_without_importing_them() -> None:
    held = entries_in(SUITE_DIR / "test_circuit_breaker.py")
    assert {"U1", "U23"} <= {entry.id for entry in held}
    assert entries_in(SUITE_DIR / "no_such_file.py") == ()


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        ("faults", "faults not permitted on this target"),
        ("breaker", "no breaker source configured"),
        ("fault:kill", "fault 'kill' not permitted on this target"),
        ("aws.rds_instance", "no `aws.rds_instance` configured"),
        ("dns.public_names", "no `dns.public_names` configured"),
    ],
)
def test_what_a_target_lacks_has_fixed_words(need: str, reason: str) -> None:
    entry = ALL[0].model_copy(update={"needs": (need,)})
    assert needs.missing(entry, Target(name="bare")) == reason


def test_what_a_target_has_is_not_missing() -> None:
    target = Target.model_validate(
        {"name": "t", "permissions": {"faults": ["kill"]}, "aws": {"cluster": "c", "rds_instance": "db"}}
    )
    entry = ALL[0].model_copy(update={"needs": ("faults", "fault:kill", "aws", "aws.rds_instance")})
    assert needs.missing(entry, target) is None
