"""The links of a target, through Toxiproxy's HTTP API.

One client for our own link program and for a real Toxiproxy. What only ours has (counters, leases,
some toxics) is None or refused there; compatibility is by Toxiproxy's documentation and was not
tried against the real program.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from pydantic import TypeAdapter

from hokusai_validation.errors import AgentFailed, TargetInvalid
from hokusai_validation.resources.agent import TIMEOUT_S, Agent, part
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.target import Target


@dataclass(frozen=True)
class Toxic:
    """Something wrong with a link's connections. `attributes` are whole numbers as Toxiproxy
    documents them (ms unless said otherwise); `name` defaults to `TYPE_STREAM`."""

    type: str
    attributes: Mapping[str, int] = field(default_factory=dict)
    stream: str = "downstream"
    toxicity: float = 1.0
    name: str = ""
    lease: str | None = None

    @property
    def label(self) -> str:
        """The name that it has at the server."""
        return self.name or f"{self.type}_{self.stream}"


@dataclass(frozen=True)
class Counters:
    """Of one link since its start; `open` is now."""

    accepted: int = 0
    refused: int = 0
    open: int = 0
    reset: int = 0
    bytes_up: int = 0
    bytes_down: int = 0


@dataclass(frozen=True)
class LinkState:
    """One link as its server shows it. `counters` is None where the server doesn't count."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: tuple[Toxic, ...] = ()
    counters: Counters | None = None
    upstream_down: bool = False
    lease: str | None = None

    @property
    def clean(self) -> bool:
        """Whether no fault is on it."""
        return self.enabled and not self.toxics


class LinkClient:
    """Links by the edges of the target file (`api-1->mlflow`). Every method raises AgentFailed."""

    def __init__(
        self, url: str, edges: Mapping[str, str] | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.edges: Mapping[str, str] = dict(edges or {})
        self._agent = Agent("The links' API", HttpClient(url, timeout_s=timeout_s))
        self._leases: bool | None = None

    @classmethod
    def from_target(cls, target: Target) -> Self:
        """As `[links]` of the target file says.

        Raises TargetInvalid without that section."""
        if target.links is None:
            raise TargetInvalid(
                f"Target '{target.name}' has no [links] section; add one to put faults on links."
            )
        return cls(target.links.url, target.links.edges)

    @property
    def url(self) -> str:
        """Where the server's API is."""
        return self._agent.url

    def close(self) -> None:
        """Close the kept connections."""
        self._agent.close()

    def proxy(self, edge: str) -> str:
        """The server's name of the link on an edge; without any edges configured, a link's own name."""
        if edge in self.edges:
            return self.edges[edge]
        if not self.edges:
            return edge
        raise AgentFailed(
            f"There is no link on edge '{edge}': [links.edges] of the target has {', '.join(self.edges)}."
        )

    def state(self, edge: str) -> LinkState:
        """One link as it is now."""
        return self._agent.read(f"/proxies/{part(self.proxy(edge))}", _LINK)

    def states(self) -> dict[str, LinkState]:
        """Every link that the server has, by its name there."""
        return self._agent.read("/proxies", _LINKS)

    def cut(self, edge: str, *, lease: str | None = None) -> None:
        """Refuse connections and break those that are there."""
        body = {"enabled": False, **_under(lease)}
        self._agent.call("POST", f"/proxies/{part(self.proxy(edge))}", body)

    def restore(self, edge: str) -> None:
        """Accept connections again. May be repeated."""
        self._agent.call("POST", f"/proxies/{part(self.proxy(edge))}", {"enabled": True})

    def add(self, edge: str, toxic: Toxic, *, lease: str | None = None) -> str:
        """Put a toxic on; one of that name that is there already stays. Returns its name."""
        body = {
            "name": toxic.label,
            "type": toxic.type,
            "stream": toxic.stream,
            "toxicity": toxic.toxicity,
            "attributes": dict(toxic.attributes),
            **_under(lease or toxic.lease),
        }
        path = f"/proxies/{part(self.proxy(edge))}/toxics"
        self._agent.call("POST", path, body, accept=(409,))
        return toxic.label

    def remove(self, edge: str, name: str) -> None:
        """Take a toxic off. May be repeated."""
        path = f"/proxies/{part(self.proxy(edge))}/toxics/{part(name)}"
        self._agent.call("DELETE", path, accept=(404,))

    def reset(self) -> None:
        """Take every fault off every link. May be repeated."""
        self._agent.call("POST", "/reset")

    @property
    def has_leases(self) -> bool:
        """Whether the server undoes faults by itself when their holder is gone (ours does)."""
        if self._leases is None:
            self._leases = self._agent.call("GET", "/leases", accept=(404, 405)).status == 200
        return self._leases

    def hold(self, lease: str, seconds: float) -> None:
        """Make or renew a lease. Nothing where the server has none."""
        if self.has_leases:
            self._agent.call("POST", "/leases", {"id": lease, "seconds": seconds})

    def release(self, lease: str) -> None:
        """End a lease: what is under it is undone. May be repeated."""
        if self.has_leases:
            self._agent.call("DELETE", f"/leases/{part(lease)}", accept=(404,))


def _under(lease: str | None) -> dict[str, str]:
    return {} if lease is None else {"lease": lease}


_LINK = TypeAdapter(LinkState)
_LINKS = TypeAdapter(dict[str, LinkState])
