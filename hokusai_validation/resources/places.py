"""Which component an address of the target is, so that every connection knows whom it asks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from hokusai_validation.observation import Edge
from hokusai_validation.target import Aws, Target
from hokusai_validation.topology import DEFAULT_TOPOLOGY, Role

UNKNOWN = "unknown"
AWS = "aws-api"
_ARGUMENTS_LIMIT = 100


@dataclass(frozen=True)
class Place:
    """`dialled` is the component at an address, `role` who answers behind it, `instance` which one."""

    dialled: str
    role: str = ""
    instance: str | None = None


class Places:
    """The addresses of one target. `names` gives each role's component, None where not deployed;
    `instance_header` is the response header that names an instance, lower case, empty where none does."""

    def __init__(self, target: Target | None = None) -> None:
        topology = DEFAULT_TOPOLOGY if target is None else target.topology
        self.names: Mapping[str, str | None] = {
            part.role.value: name if part.deployed else None
            for name, part in topology.items()
            if part.role is not None
        }
        # A component of the target's own plays its own part.
        self._topology = topology
        self.names = {**{name: name for name, part in topology.items() if part.role is None}, **self.names}
        self.proxy = "/api/mlflow"
        self.instance_header = ""
        self._by_address: dict[tuple[str, int], Place] = {}
        self._resources: dict[str, str] = {}
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
        return self.role(Role.SERVICE_DISCOVERY) if private else "dns"

    def role(self, role: str) -> str:
        """The component that plays a role; the role itself where none does."""
        return self.names.get(role) or role

    def role_of(self, component: str) -> str:
        """The role that a component plays; its own name for one of the target's own."""
        part = self._topology.get(component)
        return component if part is None or part.role is None else part.role.value

    def behind(self, component: str) -> tuple[Edge, ...]:
        """The edges that an answer of a component of the target's own may need, after the topology: as
        nobody says which, it may do without each of them."""
        edges: list[Edge] = []
        queue = [component]
        for name in queue:
            part = self._topology.get(name)
            if part is None or part.role is not None:
                continue  # of the contract's parts the table of operations says what they need
            for below in part.depends_on:
                edges.append(Edge(source=name, to=below, optional=True))
                if below not in queue:
                    queue.append(below)
        return tuple(edges)

    def subject_of(self, arguments: object) -> str | None:
        """The component that the arguments of an AWS call name, by its resources' names in the target
        file or their ARNs."""
        stack, looked = [arguments], 0
        while stack and looked < _ARGUMENTS_LIMIT:
            at = stack.pop()
            looked += 1
            if isinstance(at, str):
                for part in (at, *at.replace(":", "/").split("/")):
                    if part in self._resources:
                        return self._resources[part]
            elif isinstance(at, Mapping):
                stack.extend(at.values())
            elif isinstance(at, list | tuple):
                stack.extend(at)
        return None

    def _read(self, target: Target) -> None:
        self.instance_header = (target.endpoints.instance_header or "").lower()
        # The later ones win: an instance's own address is more than the balancer's.
        balancer = self.names.get(Role.LOAD_BALANCER)
        for url, role in (
            (target.endpoints.auth, Role.AUTH),
            (target.endpoints.plain, Role.API_GATEWAY),
            (target.endpoints.api, Role.API_GATEWAY),
            (target.endpoints.registry, Role.API_GATEWAY),
        ):
            self._put(url, Place(balancer or self.role(role), role))
        if target.auth is not None and target.auth.url != target.endpoints.auth:
            self._put(target.auth.url, Place(self.role(Role.AUTH), Role.AUTH))
        for instance in target.instances:
            self._put(instance.url, Place(self.role(Role.API_GATEWAY), Role.API_GATEWAY, instance.name))
            self._put(instance.failpoints, Place("failpoints"))
        if target.auth is not None:
            self._put(target.auth.admin, Place("failpoints"))
        if target.mlflow is not None:
            self.proxy = target.mlflow.through_gateway
            self._put(target.mlflow.url, Place(self.role(Role.TRACKING_SERVER), Role.TRACKING_SERVER))
        if target.database is not None:
            at = (target.database.host, target.database.port)
            self._by_address[at] = Place(self.role(Role.DATABASE), Role.DATABASE)
        if target.redis is not None:
            at = (target.redis.host, target.redis.port)
            self._by_address[at] = Place(self.role(Role.CACHE), Role.CACHE)
        self._private = target.dns.private_names
        if target.aws is not None:
            self._namespace = target.aws.namespace or ""
            self._put(target.aws.endpoint_url, Place(AWS))
            self._resources = dict(self._named_in(target.aws))
            for component, name in target.aws.discovery_names.items():
                host = f"{name}.{target.aws.namespace}"
                self._by_address.setdefault((host, 0), Place(component))
        if target.links is not None:
            self._put(target.links.url, Place("links"))
        if target.control is not None:
            self._put(target.control.url, Place("control"))

    def _named_in(self, aws: Aws) -> Iterator[tuple[str, str]]:
        """Each name of a resource, and the component that it is."""
        for component, service in aws.services.items():
            for name in (service.service, service.target_group, service.log_group):
                if name:
                    yield name, component
        for component, name in aws.discovery_names.items():
            yield name, component
        for name in aws.load_balancers:
            yield name, self.role(Role.LOAD_BALANCER)
        for resource, role in (
            (aws.rds_instance, Role.DATABASE),
            (aws.database_secret, Role.SECRETS),
            (aws.elasticache_cluster, Role.CACHE),
            (aws.bucket, Role.ARTIFACT_STORE),
            (aws.namespace, Role.SERVICE_DISCOVERY),
        ):
            if resource:
                yield resource, self.role(role)

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
