"""Parts that are not there, do not answer, or can't be reached."""

from collections.abc import Mapping
from typing import Any

from hokusai_sandbox.plan import INSTANCES
from hokusai_sandbox.scenarios.model import Scenario

Changes = tuple[Mapping[str, Any], ...]


def _edges(component: str) -> tuple[str, ...]:
    return tuple(f"{instance}->{component}" for instance in INSTANCES)


def _on(edges: tuple[str, ...], kind: str, stream: str = "downstream", **attributes: Any) -> Changes:
    toxic = {"type": kind, "stream": stream, "attributes": attributes}
    return ({"do": "link", "edges": list(edges), "toxic": toxic},)


def _closed_off(component: str) -> Changes:
    """Connections that were made before the group was closed don't live on either."""
    edges = _edges(component)
    return _on(edges, "connect_timeout") + _on(edges, "reset_existing")


SCENARIOS = (
    Scenario("mlflow_down", "MLflow's process is not there.", absent=("mlflow",)),
    Scenario("auth_down", "The auth service's process is not there.", absent=("auth",)),
    Scenario("redis_down", "Redis is deployed, but its process is not there.", absent=("redis",)),
    Scenario(
        "mlflow_closed_off",
        "A security group lets nobody from the API to MLflow: connections are never accepted.",
        changes=_closed_off("mlflow"),
    ),
    Scenario(
        "postgres_closed_off",
        "A security group lets nobody from the API to RDS: connections are never accepted.",
        changes=_closed_off("postgres"),
    ),
    Scenario(
        "mlflow_hangs",
        "MLflow accepts connections and never answers.",
        changes=_on(_edges("mlflow"), "timeout", timeout=0),
    ),
    Scenario(
        "auth_resets",
        "Connections from the API to the auth service are broken off.",
        changes=_on(_edges("auth"), "reset_peer", timeout=0),
    ),
    Scenario(
        "mlflow_slow",
        "MLflow answers each request a second and a half late.",
        changes=_on(_edges("mlflow"), "latency", latency=1500, jitter=0),
    ),
    Scenario(
        "one_instance_cut_off",
        "One API instance of two has no connection to its database.",
        changes=({"do": "link", "edges": [f"{INSTANCES[1]}->postgres"], "cut": True},),
    ),
)
