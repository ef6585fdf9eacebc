"""67 = 67, whatever came back; and how a row is made."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, SecretStr

from hokusai_validation.catalogue import Entry, entries, needs
from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.redaction import Redactor
from hokusai_validation.result import Phase, Result, Status
from hokusai_validation.runner.rows import (
    DETAIL_LIMIT,
    MESSAGE_LIMIT,
    TEXT_LIMIT,
    complete,
    cut,
    finished,
    unrun,
)
from hokusai_validation.runner.selection import SUITE_DIR, Selection, entries_in
from hokusai_validation.target import Target

ALL = entries()


def row(entry: Entry, status: Status = Status.PASSED) -> Result:
    return unrun(entry, run_id="r", target=Target(name="t"), status=status, message="")


@given(
    reported=st.sets(st.sampled_from(range(len(ALL)))),
    asked=st.sets(st.sampled_from(list(Phase))),
)
def test_every_entry_has_a_row_and_none_twice(reported: set[int], asked: set[Phase]) -> None:
    present = [row(ALL[number]) for number in sorted(reported)]
    added = complete(
        present, scope=ALL, asked=lambda entry: entry.phase in asked, run_id="r", target=Target(name="t")
    )
    names = [each.test for each in (*present, *added)]
    assert sorted(names) == sorted(entry.test for entry in ALL)
    for each in added:
        expected = (
            (Status.BROKEN, "never reported") if each.phase in asked else (Status.SKIPPED, "not selected")
        )
        assert (each.status, each.message) == expected


def test_why_a_row_is_missing_is_said() -> None:
    (added,) = complete(
        [], scope=ALL[:1], asked=lambda _: True, run_id="r", target=Target(name="t"), why=lambda _: "it died"
    )
    assert added.message == "never reported: it died"


def test_a_row_is_masked_before_it_is_cut() -> None:
    """No half of a secret stays where a text ends."""
    secret = "correct-horse-battery-staple"
    redactor = Redactor([SecretStr(secret)])
    for before in range(MESSAGE_LIMIT - len(secret), MESSAGE_LIMIT):
        leaking = row(ALL[0]).model_copy(
            update={
                "message": "x" * before + secret,
                "detail": secret + "x" * (DETAIL_LIMIT - MESSAGE_LIMIT + before),
                "evidence": {"body": "x" * (TEXT_LIMIT - MESSAGE_LIMIT + before) + secret},
                "facts": (Fact(kind=FactKind.SLOW, component="api", seen="x" * before + secret),),
            }
        )
        text = finished(leaking, redactor).model_dump_json()
        assert secret[:6] not in text
        assert secret[-6:] not in text


def test_what_no_file_can_hold_is_no_reason_to_lose_a_row() -> None:
    odd = row(ALL[0]).model_copy(
        update={
            "message": "name \udce4",
            "evidence": {"p99_ms": float("nan"), "\udcff": ["\ud800"]},
            "metrics": {"p99_ms": float("nan"), "max_ms": float("inf"), "n": 1.0},
        }
    )
    made = finished(odd, Redactor())
    assert Result.model_validate_json(made.model_dump_json()) == made
    assert made.metrics == {"n": 1.0}
    assert made.evidence["p99_ms"] is None


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=20))
def test_cutting_keeps_what_is_short(value: JsonValue) -> None:
    whole = json.dumps(cut(value), allow_nan=False)
    assert cut(json.loads(whole)) == json.loads(whole)


def test_critical_only_leaves_the_others_in_scope() -> None:
    selection = Selection(phases=(Phase.HEALTH,), critical_only=True)
    scope = selection.scope(Target(name="t"))
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
