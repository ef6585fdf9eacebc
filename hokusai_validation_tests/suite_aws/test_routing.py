"""Listener rules, evaluated as AWS does."""

import fnmatch
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.resources.aws.models import Listener, Rule, RuleAction, RuleCondition
from hokusai_validation.resources.aws.routing import Decision, Request, knows_host, possible

API, MLFLOW = "arn:targetgroup/api/1", "arn:targetgroup/mlflow/2"


def rule(priority: int | None, group: str = API, **conditions: tuple[str, ...]) -> Rule:
    return Rule(
        arn=f"rule/{priority}",
        priority=priority,
        conditions=tuple(
            RuleCondition(field=name.replace("_", "-"), values=values) for name, values in conditions.items()
        ),
        actions=(RuleAction(type="forward", target_groups={group: 1}),),
    )


def listener(*rules: Rule) -> Listener:
    return Listener(arn="l", load_balancer="lb", protocol="HTTPS", port=443, rules=rules)


def goes(given_listener: Listener, host: str, path: str) -> str:
    [decision] = possible(given_listener, Request(host=host, path=path))
    return decision.target_groups[0]


def decisions(given: Listener, path: str = "/", **request: Any) -> list[Decision]:
    return list(possible(given, Request(host="h.test", path=path, **request)))


def groups(found: list[Decision]) -> list[str]:
    return [each.target_groups[0] for each in found]


def test_the_lowest_number_decides_whatever_the_order() -> None:
    rules = (rule(None), rule(200), rule(10, MLFLOW, path_pattern=("/api/mlflow/*",)))
    assert goes(listener(*rules), "any", "/api/mlflow/x") == MLFLOW
    assert goes(listener(*reversed(rules)), "any", "/api/mlflow/x") == MLFLOW
    assert goes(listener(*rules), "any", "/health") == API


def test_all_conditions_must_hold_any_value_suffices() -> None:
    one = rule(1, MLFLOW, host_header=("a.test", "b.test"), path_pattern=("/x", "/y*"))
    made = listener(one, rule(None))
    assert goes(made, "B.TEST", "/yes") == MLFLOW
    assert goes(made, "c.test", "/yes") == API
    assert goes(made, "a.test", "/X") == API


def test_a_path_pattern_sees_no_query() -> None:
    made = listener(rule(1, MLFLOW, path_pattern=("/x",)), rule(None))
    assert goes(made, "h", "/x?y=/z") == MLFLOW


def conditioned(**values: Any) -> Listener:
    """A listener whose one rule leads to MLflow under a condition, all else to the API."""
    action = RuleAction(type="forward", target_groups={MLFLOW: 1})
    condition = RuleCondition.model_validate(values)
    return listener(Rule(arn="r", priority=1, conditions=(condition,), actions=(action,)), rule(None))


def test_headers_are_matched_by_name_and_value_without_case() -> None:
    made = conditioned(field="http-header", name="X-Canary", values=("yes*",))
    assert groups(decisions(made)) == [API]
    assert groups(decisions(made, headers={"x-canary": "YES, please"})) == [MLFLOW]
    assert groups(decisions(made, headers={"x-canary": "no"})) == [API]


def test_queries_are_matched_by_pairs_or_values() -> None:
    made = conditioned(field="query-string", pairs=(("version", "v?"), ("", "*example*")))
    assert groups(decisions(made, "/x?version=V1")) == [MLFLOW]
    assert groups(decisions(made, "/x?anything=an+example+this")) == [MLFLOW]
    assert groups(decisions(made, "/x?version=10&other=v1")) == [API]
    literal = conditioned(field="query-string", pairs=(("q", r"\*"),))
    assert groups(decisions(literal, "/x?q=*")) == [MLFLOW]
    assert groups(decisions(literal, "/x?q=anything")) == [API]


def test_methods_are_matched_as_they_are_written() -> None:
    made = conditioned(field="http-request-method", values=("POST",))
    assert groups(decisions(made)) == [API]
    assert groups(decisions(made, method="POST")) == [MLFLOW]


@pytest.mark.parametrize(
    ("values", "source", "expected"),
    [
        (("10.0.0.0/8",), None, [MLFLOW, API]),  # whose address it will be is not known
        (("10.0.0.0/8",), "10.1.2.3", [MLFLOW]),
        (("10.0.0.0/8",), "192.0.2.1", [API]),
        (("2001:db8::/32",), "2001:db8::1", [MLFLOW]),
        (("2001:db8::/32",), "10.1.2.3", [API]),
        (("0.0.0.0/0",), None, [MLFLOW, API]),  # not who comes by IPv6
        (("0.0.0.0/0", "::/0"), None, [MLFLOW]),
        (("no address",), "10.1.2.3", [MLFLOW, API]),
    ],
)
def test_a_source_address_decides_where_it_is_known(
    values: tuple[str, ...], source: str | None, expected: list[str]
) -> None:
    found = decisions(conditioned(field="source-ip", values=values), source=source)
    assert groups(found) == expected
    assert found[0].hangs_on == (("source-ip",) if len(expected) == 2 else ())


@pytest.mark.parametrize(
    ("expression", "path", "expected"),
    [
        (r"^/api/(v1|v2)/.*$", "/api/v2/x", [MLFLOW]),
        (r"^/api/(v1|v2)/.*$", "/api/v3/x", [API]),
        (r"(?i)^/x", "/X", [MLFLOW, API]),  # not read alike everywhere
        (r"^(a+)+$", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", [MLFLOW, API]),  # would take for ever
        (r"^(", "/x", [MLFLOW, API]),
        (r"\p{L}+", "/x", [MLFLOW, API]),
    ],
)
def test_a_regular_expression_decides_where_it_can_be_read(
    expression: str, path: str, expected: list[str]
) -> None:
    found = decisions(conditioned(field="path-pattern", expressions=(expression,)), path)
    assert groups(found) == expected


def test_a_condition_of_a_kind_that_we_do_not_know_is_undecided() -> None:
    assert groups(decisions(conditioned(field="next-years", values=("x",)))) == [MLFLOW, API]


def test_a_condition_that_fails_settles_a_rule_whatever_the_others_say() -> None:
    conditions = (
        RuleCondition(field="source-ip", values=("10.0.0.0/8",)),
        RuleCondition(field="path-pattern", values=("/other",)),
    )
    action = RuleAction(type="forward", target_groups={MLFLOW: 1})
    made = listener(Rule(arn="r", priority=1, conditions=conditions, actions=(action,)), rule(None))
    assert groups(decisions(made)) == [API]


def test_a_group_of_weight_zero_gets_nothing() -> None:
    action = RuleAction(type="forward", target_groups={API: 1, MLFLOW: 0})
    [decision] = decisions(listener(Rule(arn="r", priority=None, actions=(action,))))
    assert decision.target_groups == (API,)


def test_a_listener_without_rules_decides_nothing() -> None:
    assert decisions(listener()) == []


def test_a_lone_star_is_for_nobody_by_name() -> None:
    assert not knows_host(listener(rule(1, host_header=("*",))), "a.test")
    assert knows_host(listener(rule(1, host_header=("*.test",))), "a.test")


plain = st.text(
    st.characters(codec="ascii", exclude_characters="*?[]!", categories=("L", "N", "P")), max_size=8
)


@given(st.lists(plain | st.sampled_from(["*", "?"]), max_size=5).map("".join), plain)
def test_patterns_agree_with_the_shell_where_both_know_the_signs(pattern: str, text: str) -> None:
    made = listener(rule(1, MLFLOW, path_pattern=(pattern,)), rule(None))
    path = text.partition("?")[0]
    assert (goes(made, "h", path) == MLFLOW) == fnmatch.fnmatchcase(path, pattern)
