"""Listener rules, evaluated as AWS does."""

import fnmatch

from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.resources.aws.models import Listener, Rule, RuleAction, RuleCondition
from hokusai_validation.resources.aws.routing import decide, knows_host

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
    decision = decide(given_listener, host, path)
    assert decision is not None
    return decision.target_groups[0]


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


def test_a_plain_request_has_no_special_header() -> None:
    made = listener(
        rule(1, MLFLOW, http_header=("canary",)), rule(2, MLFLOW, query_string=("a=b",)), rule(None)
    )
    assert goes(made, "h", "/") == API


def test_a_group_of_weight_zero_gets_nothing() -> None:
    action = RuleAction(type="forward", target_groups={API: 1, MLFLOW: 0})
    decision = decide(listener(Rule(arn="r", priority=None, actions=(action,))), "h", "/")
    assert decision is not None
    assert decision.target_groups == (API,)


def test_a_listener_without_rules_decides_nothing() -> None:
    assert decide(listener(), "h", "/") is None


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
