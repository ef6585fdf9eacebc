"""Which component an address of the target is, so that every connection knows whom it asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from hokusai_validation.target import Target
from hokusai_validation.topology import DEFAULT_TOPOLOGY

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Place:
    """`dialled` is the component at an address, `role` who answers behind it, `instance` which one."""

    dialled: str
    role: str = ""
    instance: str | None = None


class Places:
    """The addresses of one target. `names` gives each role's component, None where not deployed."""

    def __init__(self, target: Target | None = None) -> None:
        topology = DEFAULT_TOPOLOGY if target is None else target.topology
        self.names: Mapping[str, str | None] = {
            part.role.value: name if part.deployed else None
            for name, part in topology.items()
            if part.role is not None
        }
        self.proxy = "/api/mlflow"
        self._by_address: dict[tuple[str, int], Place] = {}
        self._private: tuple[str, ...] = ()
        self._namespace = ""
        if target is not None:
            self._read(target)

    def at(self, host: str, port: int) -> Place:
        """What is at an address."""
        return self._by_address.get((host, port), Place(UNKNOWN))

    def of_host(self, host: str) -> str | None:
        """The component that a name belongs to, whatever the port."""
        return next((place.dialled for (name, _), place in self._by_address.items() if name == host), None)

    def names_of(self, host: str) -> str:
        """Who answers for a name: the stack's service discovery, or the world's DNS."""
        private = host in self._private or (self._namespace and host.endswith(f".{self._namespace}"))
        return self.role("service_discovery") if private else "dns"

    def role(self, role: str) -> str:
        """The component that plays a role; the role itself where none does."""
        return self.names.get(role) or role

    def _read(self, target: Target) -> None:
        # The later ones win: an instance's own address is more than the balancer's.
        balancer = self.names["load_balancer"]
        for url, role in (
            (target.endpoints.auth, "auth"),
            (target.endpoints.plain, "api_gateway"),
            (target.endpoints.api, "api_gateway"),
            (target.endpoints.registry, "api_gateway"),
        ):
            self._put(url, Place(balancer or self.role(role), role))
        if target.auth is not None and target.auth.url != target.endpoints.auth:
            self._put(target.auth.url, Place(self.role("auth"), "auth"))
        for instance in target.instances:
            self._put(instance.url, Place(self.role("api_gateway"), "api_gateway", instance.name))
            self._put(instance.failpoints, Place("failpoints"))
        if target.auth is not None:
            self._put(target.auth.admin, Place("failpoints"))
        if target.mlflow is not None:
            self.proxy = target.mlflow.through_gateway
            self._put(target.mlflow.url, Place(self.role("tracking_server"), "tracking_server"))
        if target.database is not None:
            at = (target.database.host, target.database.port)
            self._by_address[at] = Place(self.role("database"), "database")
        if target.redis is not None:
            at = (target.redis.host, target.redis.port)
            self._by_address[at] = Place(self.role("cache"), "cache")
        self._private = target.dns.private_names
        if target.aws is not None:
            self._namespace = target.aws.namespace or ""
            self._put(target.aws.endpoint_url, Place("aws-api"))
            for component, name in target.aws.discovery_names.items():
                host = f"{name}.{target.aws.namespace}"
                self._by_address.setdefault((host, 0), Place(component))
        if target.links is not None:
            self._put(target.links.url, Place("links"))
        if target.control is not None:
            self._put(target.control.url, Place("control"))

    def _put(self, url: str | None, place: Place) -> None:
        if url:
            host, port = address(url)
            self._by_address[(host, port)] = place


def address(url: str) -> tuple[str, int]:
    """Host and port of a URL; port 0 where it has none that can be read."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", 0
