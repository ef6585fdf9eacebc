"""Where a load balancer sends a request, worked out from its rules as AWS evaluates them: by priority, all
conditions of a rule, any value of a condition, the default last. Pure.

What can't be known from here (whose address a request comes from, a regular expression in a form that
we may not read as AWS does) is undecided: then more than one decision is possible, and none is guessed.
Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from urllib.parse import parse_qsl

from hokusai_validation.resources.aws.models import AwsModel, Listener, Rule, RuleAction, RuleCondition


class Decision(AwsModel):
    """What happens to a request: the rule that decides (`priority` None: the default action), the
    kind of its last action, and the target groups' ARNs that it may be forwarded to. `hangs_on`
    are conditions of which can't be told whether they hold: then a later rule may decide."""

    load_balancer: str
    priority: int | None
    action: str
    target_groups: tuple[str, ...] = ()
    redirect_protocol: str = ""
    status: str = ""
    hangs_on: tuple[str, ...] = ()


class Request(AwsModel):
    """A request as a listener sees it. `source` is its address, None where it is not known."""

    host: str
    path: str
    method: str = "GET"
    headers: Mapping[str, str] = {}
    source: str | None = None


def possible(listener: Listener, request: Request) -> tuple[Decision, ...]:
    """What a listener may do with a request, in the order of its rules: one decision where all is known,
    none where it has no rule for it."""
    found: list[Decision] = []
    for rule in in_order(listener.rules):
        answers = [_holds(condition, request) for condition in rule.conditions]
        if False in answers:
            continue
        unknown = {
            each.field for each, answer in zip(rule.conditions, answers, strict=True) if answer is None
        }
        found.append(_decision(listener, rule).model_copy(update={"hangs_on": tuple(sorted(unknown))}))
        if not unknown:
            break
    return tuple(found)


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


def leads_to(listener: Listener, groups: frozenset[str]) -> bool:
    """Whether a rule of it forwards to one of these target groups, by ARN."""
    return any(groups & action.target_groups.keys() for rule in listener.rules for action in rule.actions)


def secure(listeners: Sequence[Listener]) -> tuple[Listener, ...]:
    """The HTTPS listeners, those on port 443 first."""
    return tuple(
        sorted((each for each in listeners if each.protocol == "HTTPS"), key=lambda each: each.port != 443)
    )


def _holds(condition: RuleCondition, request: Request) -> bool | None:
    """Whether a condition holds; None where that can't be told."""
    path, _, query = request.path.partition("?")
    if condition.field == "host-header":
        # Names know no case.
        return _any(condition, request.host.lower(), lower=True)
    if condition.field == "path-pattern":
        # Patterns see the path alone, and its case counts.
        return _any(condition, path)
    if condition.field == "http-request-method":
        return request.method in condition.values
    if condition.field == "http-header":
        sent = {name.lower(): value for name, value in request.headers.items()}
        value = sent.get(condition.name.lower())
        return False if value is None else _any(condition, value.lower(), lower=True)
    if condition.field == "query-string":
        return _query(condition, query)
    if condition.field == "source-ip":
        return _source(condition, request.source)
    return None


def _any(condition: RuleCondition, text: str, *, lower: bool = False) -> bool | None:
    values = [value.lower() if lower else value for value in condition.values]
    if any(_fits(value, text) for value in values):
        return True
    answers = [_matches(each, text) for each in condition.expressions]
    if any(answers):
        return True
    return None if None in answers else False


def _query(condition: RuleCondition, query: str) -> bool:
    """Case does not count, and a backslash takes a wildcard its meaning."""
    pairs = [(name.lower(), value.lower()) for name, value in parse_qsl(query, keep_blank_values=True)]
    for name, value in condition.pairs:
        for sent_name, sent in pairs:
            if (not name or _fits(name.lower(), sent_name, escapes=True)) and _fits(
                value.lower(), sent, escapes=True
            ):
                return True
    return False


def _source(condition: RuleCondition, source: str | None) -> bool | None:
    try:
        networks = [ipaddress.ip_network(value, strict=False) for value in condition.values]
    except ValueError:
        return None
    versions = {each.version for each in networks if each.prefixlen == 0}
    if source is None:  # whoever asks by IPv4 is in 0.0.0.0/0; by which of the two is not known
        return True if versions == {4, 6} else None
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return None
    return any(address in network for network in networks if network.version == address.version)


# What regular expressions mean alike to AWS and to Python: AWS does not say which engine it has.
_PLAIN_EXPRESSION = re.compile(r"(?:[\w\s/.\-~%:@!,;=&'\"()|\[\]^$*+?{}]|\\[dwsDWSb.\-/\\*+?()\[\]{}^$|])*")


def _matches(expression: str, text: str) -> bool | None:
    """Whether a `RegexValues` expression matches; None where it is not one that we read alike, or could
    take for ever."""
    if not _PLAIN_EXPRESSION.fullmatch(expression) or "(?" in expression or _nested(expression):
        return None
    try:
        return _compiled(expression).search(text) is not None
    except re.error:
        return None


def _nested(expression: str) -> bool:
    """A repeated group that repeats inside: what backtracks without end."""
    return re.search(r"\([^()]*[*+{][^()]*\)[*+{]", expression) is not None


@cache
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.ASCII)


def _fits(pattern: str, text: str, *, escapes: bool = False) -> bool:
    return _expression(pattern, escapes).fullmatch(text) is not None


@cache
def _expression(pattern: str, escapes: bool) -> re.Pattern[str]:
    """AWS knows `*` (any run of characters) and `?` (exactly one), and nothing else; in queries a
    backslash before them."""
    parts = {"*": ".*", "?": "."}
    made, rest = "", iter(pattern)
    for character in rest:
        if escapes and character == "\\":
            made += re.escape(next(rest, "\\"))
        else:
            made += parts.get(character, re.escape(character))
    return re.compile(made, re.DOTALL)


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
