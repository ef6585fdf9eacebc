"""What one sandbox is made of: addresses, secrets, names. Made once at start, never changed;
every process gets the part it needs from here through its environment."""

import secrets as tokens
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"
INSTANCES = ("api-1", "api-2")
REGION = "us-east-1"
# Addresses that the balancer's links listen on: each API task has one of its own, as in a VPC.
TASK_ADDRESSES = {"api-1": "127.0.1.1", "api-2": "127.0.1.2"}
ACCOUNT = "123456789012"
CLUSTER = "hokusai-development"
NAMESPACE = "hokusai-development.local"
BUCKET = "hokusai-mlflow-artifacts-development"
RDS_INSTANCE = "hokusai-mlflow-development"
DATABASE = "mlflow_db"
DATABASE_USER = "mlflow"
DATABASE_SECRET = "hokusai/database/credentials"
ELASTICACHE_CLUSTER = "hokusai-redis-development"
HOSTS = {
    "registry": "registry.hokusai.test",
    "api": "api.hokusai.test",
    "auth": "auth.hokusai.test",
}
GIT_COMMIT = "4f1c2d9ab07e63518d2e9f0c7a6b5d4e3f2a1b0c"
BUILD_DATE = "2025-08-04T10:00:00+00:00"

# Edge -> the service (a name in `Plan.ports`) that it leads to.
EDGES: Mapping[str, str] = {
    **{
        f"{instance}->{component}": service
        for instance in INSTANCES
        for component, service in (
            ("mlflow", "mlflow"),
            ("postgres", "postgres"),
            ("redis", "redis"),
            ("message_queue", "redis"),
            ("auth", "auth"),
        )
    },
    "mlflow->postgres": "postgres",
    "mlflow->artifacts": "aws",
    "load_balancer->api-1": "api-1",
    "load_balancer->api-2": "api-2",
    "load_balancer->auth": "auth",
}

PORT_NAMES = (
    "postgres",
    "redis",
    "mlflow",
    "auth",
    "api-1",
    "api-1-admin",
    "api-2",
    "api-2-admin",
    "balancer-https",
    "balancer-http",
    "links",
    "dns",
    "aws",
    "control",
)


def proxy_name(edge: str) -> str:
    """The link's name in the link program: the edge with `.` for `->`."""
    return edge.replace("->", ".")


def _key(kind: str) -> str:
    return f"hk_{kind}_{tokens.token_hex(16)}"


@dataclass(frozen=True)
class Secrets:
    """Made anew at each start. `repr` shows none of them."""

    postgres: str = field(repr=False, default_factory=lambda: tokens.token_hex(16))
    mlflow_database: str = field(repr=False, default_factory=lambda: tokens.token_hex(16))
    redis: str = field(repr=False, default_factory=lambda: tokens.token_hex(16))
    control_token: str = field(repr=False, default_factory=lambda: tokens.token_hex(16))
    aws_access_key: str = field(repr=False, default_factory=lambda: "AKIA" + tokens.token_hex(8).upper())
    aws_secret_key: str = field(repr=False, default_factory=lambda: tokens.token_hex(20))
    key_good: str = field(repr=False, default_factory=lambda: _key("live"))
    key_expired: str = field(repr=False, default_factory=lambda: _key("live"))
    key_revoked: str = field(repr=False, default_factory=lambda: _key("live"))
    key_limited: str = field(repr=False, default_factory=lambda: _key("live"))
    key_revocable: str = field(repr=False, default_factory=lambda: _key("live"))


@dataclass(frozen=True)
class Plan:
    """One sandbox. `directory` holds what others read (target file, logs), `run_folder` what is
    thrown away at the end (database files). `edges` maps an edge to its link's listening port."""

    directory: Path
    run_folder: Path
    ports: Mapping[str, int]
    edges: Mapping[str, int]
    secrets: Secrets
    scenario: str | None = None

    @property
    def logs(self) -> Path:
        """The folder of the services' logs."""
        return self.directory / "logs"

    def log(self, name: str) -> Path:
        """A service's log."""
        return self.logs / f"{name}.log"

    def address(self, name: str) -> str:
        """`host:port` of a service."""
        return f"{LOOPBACK}:{self.ports[name]}"

    def url(self, name: str) -> str:
        """Base URL of a service that speaks plain HTTP."""
        return f"http://{self.address(name)}"

    def link(self, edge: str) -> str:
        """`host:port` of an edge's link: what a caller connects to."""
        return f"{LOOPBACK}:{self.edges[edge]}"
