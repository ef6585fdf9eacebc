"""Where a load balancer sends a request, worked out from its rules as AWS evaluates them: by
priority, all conditions of a rule, any value of a condition, the default last. Pure."""

import re
from collections.abc import Iterable, Sequence
from functools import cache

from hokusai_validation.resources.aws.models import AwsModel, Listener, Rule, RuleAction, RuleCondition


class Decision(AwsModel):
    """What happens to a request: the rule that decides (`priority` None: the default action), the
    kind of its last action, and the target groups' ARNs that it may be forwarded to."""

    load_balancer: str
    priority: int | None
    action: str
    target_groups: tuple[str, ...] = ()
    redirect_protocol: str = ""
    status: str = ""


def decide(listener: Listener, host: str, path: str, *, method: str = "GET") -> Decision | None:
    """What a listener does with a plain request; None where it has no rule at all."""
    for rule in in_order(listener.rules):
        if all(_holds(condition, host, path, method) for condition in rule.conditions):
            return _decision(listener, rule)
    return None


def in_order(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """By priority, the default rule last."""
    return tuple(sorted(rules, key=lambda rule: (rule.priority is None, rule.priority or 0)))


def knows_host(listener: Listener, host: str) -> bool:
    """Whether a rule of it is for this host by name (a lone `*` is for nobody)."""
    return any(
        condition.field == "host-header"
        and any(value != "*" and _fits(value.lower(), host.lower()) for value in condition.values)
        for rule in listener.rules
        for condition in rule.conditions
    )


def secure(listeners: Sequence[Listener]) -> tuple[Listener, ...]:
    """The HTTPS listeners, those on port 443 first."""
    return tuple(
        sorted((each for each in listeners if each.protocol == "HTTPS"), key=lambda each: each.port != 443)
    )


def _holds(condition: RuleCondition, host: str, path: str, method: str) -> bool:
    if condition.field == "host-header":
        return any(_fits(value.lower(), host.lower()) for value in condition.values)
    if condition.field == "path-pattern":
        # Patterns see the path alone, and its case counts.
        return any(_fits(value, path.partition("?")[0]) for value in condition.values)
    if condition.field == "http-request-method":
        return method in condition.values
    if condition.field == "source-ip":
        return "0.0.0.0/0" in condition.values
    # Headers and queries that a plain request does not have.
    return False


def _fits(pattern: str, text: str) -> bool:
    return _expression(pattern).fullmatch(text) is not None


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    """AWS knows `*` (any run of characters) and `?` (exactly one), and nothing else."""
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(character, re.escape(character)) for character in pattern), re.DOTALL)


def _decision(listener: Listener, rule: Rule) -> Decision:
    # Authentication actions may stand before; what ends the request is the last one.
    last = rule.actions[-1] if rule.actions else RuleAction(type="")
    return Decision(
        load_balancer=listener.load_balancer,
        priority=rule.priority,
        action=last.type,
        # A group of weight 0 gets nothing.
        target_groups=tuple(sorted(arn for arn, weight in last.target_groups.items() if weight > 0)),
        redirect_protocol=last.redirect.get("Protocol", ""),
        status=last.redirect.get("StatusCode", "") or last.fixed_status,
    )
