"""Which target a request goes to: the registered rules, and the health of the targets."""

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class TargetState:
    """One registered target as the balancer sees it. A new one is not used until a check passes."""

    group: str
    host: str
    port: int
    health_path: str
    state: str = "initial"
    reason: str = "Elb.RegistrationInProgress"
    description: str = "Target registration is in progress"
    good: int = 0
    bad: int = 0

    @property
    def key(self) -> tuple[str, str, int]:
        """Group, address and port."""
        return (self.group, self.host, self.port)


@dataclass
class Group:
    """A target group: its targets, asked in turn."""

    name: str
    targets: list[TargetState]
    turn: int = 0

    def next(self) -> TargetState | None:
        """A healthy target; where none is healthy any of them, as AWS does ("fail open")."""
        usable = [item for item in self.targets if item.state == "healthy"] or self.targets
        if not usable:
            return None
        self.turn += 1
        return usable[self.turn % len(usable)]


@dataclass(frozen=True)
class Action:
    """What a rule does: forward to groups, or answer a fixed status."""

    kind: str
    groups: tuple[str, ...]
    status: int


@dataclass(frozen=True)
class Rule:
    """Hosts and paths that must both match (empty: any)."""

    hosts: re.Pattern[str] | None
    paths: re.Pattern[str] | None
    action: Action

    def matches(self, host: str, path: str) -> bool:
        """Whether the rule is the one for this request."""
        if self.hosts is not None and not self.hosts.fullmatch(host):
            return False
        return self.paths is None or self.paths.fullmatch(path) is not None


@dataclass(frozen=True)
class Balancer:
    """One load balancer's HTTPS listener."""

    hosts: tuple[str, ...]
    rules: tuple[Rule, ...]
    default: Action


@dataclass
class Table:
    """All that is registered."""

    balancers: list[Balancer] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)

    def take(self, values: Mapping[str, Any]) -> None:
        """Another state of what is registered; targets that stay keep their health."""
        known = {item.key: item for group in self.groups.values() for item in group.targets}
        groups = {}
        for arn, group in values["groups"].items():
            targets = []
            for item in group["targets"]:
                fresh = TargetState(arn, item["id"], item["port"], group["health_path"])
                targets.append(known.get(fresh.key, fresh))
            groups[arn] = Group(group["name"], targets)
        self.groups = groups
        self.balancers = [_balancer(item) for item in values["balancers"]]

    def route(self, host: str, path: str) -> Action | None:
        """The action for a request. A host that no balancer has goes to the first one, which has
        the API behind it."""
        if not self.balancers:
            return None
        host = host.lower()
        found = next((item for item in self.balancers if host in item.hosts), self.balancers[0])
        for rule in found.rules:
            if rule.matches(host, path):
                return rule.action
        return found.default

    @property
    def targets(self) -> list[TargetState]:
        """Every registered target."""
        return [item for group in self.groups.values() for item in group.targets]


def _balancer(values: Mapping[str, Any]) -> Balancer:
    return Balancer(
        hosts=tuple(str(host).lower() for host in values["hosts"]),
        rules=tuple(
            Rule(
                hosts=_pattern(item["conditions"].get("host-header"), ignore_case=True),
                paths=_pattern(item["conditions"].get("path-pattern")),
                action=_action(item["action"]),
            )
            for item in values["rules"]
        ),
        default=_action(values["default"]),
    )


def _action(values: Mapping[str, Any]) -> Action:
    return Action(str(values["type"]), tuple(values["groups"]), int(values["status"]))


def _pattern(values: list[str] | None, *, ignore_case: bool = False) -> re.Pattern[str] | None:
    """AWS's wildcards: `*` any text, `?` one character."""
    if not values:
        return None
    parts = [fnmatch.translate(value.replace("[", "[[]")) for value in values]
    return re.compile("|".join(parts), re.IGNORECASE if ignore_case else 0)
