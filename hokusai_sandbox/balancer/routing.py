"""Which target a request goes to: the registered rules, and the health of the targets."""

import fnmatch
import re
from dataclasses import dataclass, field

from hokusai_sandbox.routing_table import ActionEntry, BalancerEntry, TableEntry


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
class Redirection:
    """What an HTTP listener answers: AWS's `#{host}` and `#{path}` stand for what was asked for."""

    host: str
    path: str
    status: int

    def location(self, host: str, path: str, query: str, port: int) -> str:
        """Where a request is sent; `port` is the HTTPS listener's."""
        to_path = self.path.replace("#{path}", path.lstrip("/"))
        to_host = self.host.replace("#{host}", host)
        return f"https://{to_host}:{port}{to_path}" + (f"?{query}" if query else "")


@dataclass(frozen=True)
class Balancer:
    """One load balancer: its HTTPS listener's rules, and what its HTTP listener answers."""

    hosts: tuple[str, ...]
    rules: tuple[Rule, ...]
    default: Action
    redirect: "Redirection | None"


@dataclass
class Table:
    """All that is registered."""

    balancers: list[Balancer] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)

    def take(self, values: TableEntry) -> None:
        """Another state of what is registered; targets that stay keep their health, and are asked what
        their group asks now."""
        known = {item.key: item for group in self.groups.values() for item in group.targets}
        groups = {}
        for arn, group in values["groups"].items():
            targets = []
            for item in group["targets"]:
                fresh = TargetState(arn, item["id"], item["port"], group["health_path"])
                target = known.get(fresh.key, fresh)
                target.health_path = fresh.health_path
                targets.append(target)
            groups[arn] = Group(group["name"], targets)
        self.groups = groups
        self.balancers = [_balancer(item) for item in values["balancers"]]

    def of(self, host: str) -> Balancer | None:
        """The balancer that a host's public name stands for; the first one for any other host."""
        first = self.balancers[0] if self.balancers else None
        return next((item for item in self.balancers if host.lower() in item.hosts), first)

    def route(self, host: str, path: str) -> Action | None:
        """The action for a request. A host that no balancer has goes to the first one, which has
        the API behind it."""
        found = self.of(host)
        if found is None:
            return None
        for rule in found.rules:
            if rule.matches(host.lower(), path):
                return rule.action
        return found.default

    @property
    def targets(self) -> list[TargetState]:
        """Every registered target."""
        return [item for group in self.groups.values() for item in group.targets]


def _balancer(values: BalancerEntry) -> Balancer:
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
        redirect=Redirection(**values["redirect"]) if values["redirect"] else None,
    )


def _action(values: ActionEntry) -> Action:
    return Action(str(values["type"]), tuple(values["groups"]), int(values["status"]))


def _pattern(values: list[str] | None, *, ignore_case: bool = False) -> re.Pattern[str] | None:
    """AWS's wildcards: `*` any text, `?` one character."""
    if not values:
        return None
    parts = [fnmatch.translate(value.replace("[", "[[]")) for value in values]
    return re.compile("|".join(parts), re.IGNORECASE if ignore_case else 0)
