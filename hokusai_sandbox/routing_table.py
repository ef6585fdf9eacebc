"""What the AWS process tells the balancer: load balancers with their rules, and target groups."""

from typing import NotRequired, TypedDict


class TargetEntry(TypedDict):
    """A registered target."""

    id: str
    port: int


class GroupEntry(TypedDict):
    """A target group."""

    name: str
    health_path: str
    targets: list[TargetEntry]


class ActionEntry(TypedDict):
    """What is done with a request; `groups` are ARNs."""

    type: str | None
    groups: list[str]
    status: int


class RuleEntry(TypedDict):
    """`conditions` are the values by AWS's name of the field."""

    conditions: dict[str, list[str]]
    action: ActionEntry


class RedirectEntry(TypedDict):
    """Where plain HTTP is sent, with AWS's placeholders."""

    host: str
    path: str
    status: int


class BalancerEntry(TypedDict):
    """One load balancer; `hosts` are the public names that lead to it."""

    name: NotRequired[str]
    hosts: list[str]
    rules: list[RuleEntry]
    default: ActionEntry
    redirect: RedirectEntry | None


class TableEntry(TypedDict):
    """All of it; the groups by their ARN."""

    groups: dict[str, GroupEntry]
    balancers: list[BalancerEntry]
