"""The public paths and who must get them: the contract's own, and those that the target declares.
Pure."""

from urllib.parse import urlsplit

from hokusai_validation.target import ListenerRoute, Target
from hokusai_validation.topology import Role

# Below the proxy's prefixes any path must go through the API.
_API_PATHS = (
    "/health",
    "/version",
    "/api/mlflow/api/2.0/mlflow/experiments/search",
    "/mlflow/api/2.0/mlflow/experiments/search",
)


def wanted_routes(target: Target) -> tuple[ListenerRoute, ...]:
    """Routes of components whose target group is known, each once."""
    assert target.aws is not None
    routes: list[ListenerRoute] = []
    api, auth = target.named(Role.API_GATEWAY), target.named(Role.AUTH)
    for url in (target.endpoints.registry, target.endpoints.api):
        if (host := _host(url)) is not None:
            routes += [ListenerRoute(host=host, path=path, component=api) for path in _API_PATHS]
    if (host := _host(target.endpoints.auth)) is not None:
        routes.append(ListenerRoute(host=host, path="/health", component=auth))
    routes += target.aws.routes
    known = {name for name, each in target.aws.services.items() if each.target_group}
    # What the target declares comes last and wins over the contract's own.
    unique = {(route.host, route.path): route for route in routes if route.component in known}
    return tuple(unique.values())


def _host(url: str | None) -> str | None:
    host = urlsplit(url).hostname if url is not None else None
    # Rules are by name: an address says nothing about them.
    return host if host is not None and not host.replace(".", "").isdigit() and host != "localhost" else None
