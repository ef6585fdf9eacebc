"""The parts of a stack, what each depends on, and which role each plays. Pure.

A role is what a part is for; a name is what a target calls it. Code asks for the role
(`target.named(Role.DATABASE)`), so that a target may call its parts what it likes. The names and
edges of the service contract are here (`DEFAULT_TOPOLOGY`) and nowhere else.
"""

from collections.abc import Container, Iterable, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Role(StrEnum):
    """What a part of the stack is for. Each is played by exactly one component of a topology."""

    LOAD_BALANCER = "load_balancer"
    API_GATEWAY = "api_gateway"
    AUTH = "auth"
    TRACKING_SERVER = "tracking_server"
    DATABASE = "database"
    CACHE = "cache"
    QUEUE = "queue"
    ARTIFACT_STORE = "artifact_store"
    SECRETS = "secrets"
    SERVICE_DISCOVERY = "service_discovery"


class Component(BaseModel):
    """A node of the topology; edges go to what it depends on. `known_unhealthy`: it is out, and whoever
    runs it knows (to the end of the day `known_unhealthy_until`, UTC, where there is one); what relies on it is not executed. Without a `role` it is a part of the
    target's own, which no test of the contract asks about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role | None = None
    depends_on: tuple[str, ...] = ()
    critical: bool = False
    optional: bool = False
    team: str = "platform"
    deployed: bool = True
    known_unhealthy: bool = False
    known_unhealthy_until: date | None = None

    @property
    def is_known_unhealthy(self) -> bool:
        """Whether it is out today, and that is known."""
        until = self.known_unhealthy_until
        return self.known_unhealthy and (until is None or datetime.now(UTC).date() <= until)


# The stack of the service contract. A target file may override or extend it, component by component.
DEFAULT_TOPOLOGY: Mapping[str, Component] = {
    "load_balancer": Component(
        role=Role.LOAD_BALANCER, depends_on=("api", "auth"), critical=True, team="infrastructure"
    ),
    "api": Component(
        role=Role.API_GATEWAY,
        depends_on=("auth", "mlflow", "postgres", "redis", "message_queue"),
        critical=True,
        team="api",
    ),
    "auth": Component(role=Role.AUTH, critical=True, team="auth"),
    "mlflow": Component(
        role=Role.TRACKING_SERVER,
        depends_on=("postgres", "artifacts", "service_discovery"),
        team="ml-platform",
    ),
    "postgres": Component(role=Role.DATABASE, depends_on=("secrets",), critical=True, team="infrastructure"),
    "redis": Component(role=Role.CACHE, optional=True, team="infrastructure"),
    "message_queue": Component(role=Role.QUEUE, depends_on=("redis",), optional=True, team="api"),
    "artifacts": Component(role=Role.ARTIFACT_STORE, team="ml-platform"),
    "secrets": Component(role=Role.SECRETS, critical=True, team="infrastructure"),
    "service_discovery": Component(role=Role.SERVICE_DISCOVERY, critical=True, team="infrastructure"),
}


# What the contract calls the part that plays a role, in the answers of the API, whatever a target calls it.
_WORDS: Mapping[str, str] = {part.role: name for name, part in DEFAULT_TOPOLOGY.items() if part.role}


def word_for(part: str) -> str:
    """The contract's word for a part that is given by its role; any other name stays."""
    return _WORDS.get(part, part) if isinstance(part, Role) else part


def role_of_word(word: str) -> Role | None:
    """The role of a part that an answer of the API names by the contract's word; None for others."""
    return DEFAULT_TOPOLOGY[word].role if word in DEFAULT_TOPOLOGY else None


def extended(given: Mapping[str, Component]) -> Mapping[str, Component]:
    """A file's components over the default ones, key by key. A component that has a default's name,
    or is given its role, stands in the default's place, and the others' edges go to it.

    Raises ValueError when a role is then played by none, or by two."""
    stands_for = {
        default: name
        for default, part in DEFAULT_TOPOLOGY.items()
        for name, own in given.items()
        if own.role is part.role
    }
    merged: dict[str, Component] = {}
    for default, part in DEFAULT_TOPOLOGY.items():
        name = stands_for.get(default, default)
        edges = tuple(stands_for.get(below, below) for below in part.depends_on)
        own = given.get(name, part)
        set_here = own.model_fields_set if name in given else frozenset()
        merged[name] = part.model_copy(
            update={"depends_on": edges} | {key: getattr(own, key) for key in set_here}
        )
    merged |= {name: own for name, own in given.items() if name not in merged}
    for role in Role:
        playing = sorted(name for name, part in merged.items() if part.role is role)
        if len(playing) != 1:
            who = " and ".join(f"`{name}`" for name in playing) or "no component"
            raise ValueError(f"role `{role}` is played by {who}; give it to one component")
    return merged


def check_edges(edges: Iterable[str], parts: Container[str]) -> None:
    """Whether each of a file's `links.edges` leads from one of these parts to another.

    Raises ValueError."""
    for edge in edges:
        source, arrow, to = edge.partition("->")
        if not arrow:
            raise ValueError(f"`links.edges`: '{edge}' is no edge like api-1->mlflow")
        for end in (source, to):
            if end not in parts:
                raise ValueError(f"`links.edges`: '{end}' of '{edge}' is neither an instance nor a component")
