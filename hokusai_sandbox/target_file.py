"""The sandbox as a target: `target.toml` with every part filled in, and `secrets.env` beside it."""

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

import tomlkit

from hokusai_sandbox.aws.resources_names import (
    LOAD_BALANCER_NAMES,
    SERVICES,
    TARGET_GROUPS,
    log_group,
)
from hokusai_sandbox.plan import (
    ACCOUNT,
    BUCKET,
    CLUSTER,
    DATABASE,
    DATABASE_SECRET,
    DATABASE_USER,
    ELASTICACHE_CLUSTER,
    GIT_COMMIT,
    HOSTS,
    INSTANCES,
    LOOPBACK,
    NAMESPACE,
    RDS_INSTANCE,
    REGION,
    Plan,
    proxy_name,
)
from hokusai_sandbox.scenarios import Scenario
from hokusai_sandbox.services import declared_environment

FAULTS = [
    "refuse",
    "reset",
    "latency",
    "bandwidth",
    "black_hole",
    "half_open",
    "connect_timeout",
    "every_nth",
    "garbage",
    "kill",
    "pause",
    "restart",
    "memory",
    "cpu",
]
SECRET_NAMES = {
    "HOKUSAI_SANDBOX_KEY_GOOD": "key_good",
    "HOKUSAI_SANDBOX_KEY_EXPIRED": "key_expired",
    "HOKUSAI_SANDBOX_KEY_REVOKED": "key_revoked",
    "HOKUSAI_SANDBOX_KEY_LIMITED": "key_limited",
    "HOKUSAI_SANDBOX_KEY_REVOCABLE": "key_revocable",
    "HOKUSAI_SANDBOX_REDIS_PASSWORD": "redis",
    "HOKUSAI_SANDBOX_POSTGRES_PASSWORD": "postgres",
    "HOKUSAI_SANDBOX_CONTROL_TOKEN": "control_token",
    "HOKUSAI_SANDBOX_AWS_ACCESS_KEY": "aws_access_key",
    "HOKUSAI_SANDBOX_AWS_SECRET_KEY": "aws_secret_key",
}


def write_secrets(plan: Plan) -> Path:
    """`secrets.env`, readable by its owner alone from its first moment on."""
    path = plan.directory / "secrets.env"
    making = path.with_suffix(".making")
    making.unlink(missing_ok=True)
    handle = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        for name, field in SECRET_NAMES.items():
            file.write(f"{name}={getattr(plan.secrets, field)}\n")
    making.replace(path)
    return path


def write_target(plan: Plan, scenario: Scenario) -> Path:
    """`target.toml`."""
    path = plan.directory / "target.toml"
    making = path.with_suffix(".making")
    making.write_text(to_toml(_values(plan, scenario)), encoding="utf-8")
    making.replace(path)
    return path


def _values(plan: Plan, scenario: Scenario) -> dict[str, object]:
    url = {name: f"https://{host}:{plan.ports['balancer-https']}" for name, host in HOSTS.items()}
    url["plain"] = f"http://{HOSTS['registry']}:{plan.ports['balancer-http']}"

    def secret(name: str) -> dict[str, str]:
        return {"env": f"HOKUSAI_SANDBOX_{name}"}

    values: dict[str, object] = {
        "name": "sandbox",
        "stack_id": uuid.uuid4().hex,
        "description": "The whole stack on this machine",
        "environment": "development",
        "env_file": "secrets.env",
        "expected_commit": GIT_COMMIT,
        "endpoints": url | {"instance_header": "X-Instance"},
        "tls": {"ca_file": "ca.pem"},
        "dns": {
            "resolver": plan.address("dns"),
            "public_names": list(HOSTS.values()),
            "private_names": [f"{name}.{NAMESPACE}" for name in SERVICES],
        },
        "keys": {
            kind: secret(f"KEY_{kind.upper()}")
            for kind in ("good", "expired", "revoked", "limited", "revocable")
        },
        "gateway": {
            "health_timeout_s": 2.0,
            "proxy_timeout_s": 2.0,
            "key_cache_s": 300.0,
            "breaker_failure_threshold": 3,
            "breaker_recovery_timeout_s": 1.0,
            "breaker_max_recovery_attempts": 5,
        },
        "instances": [
            {"name": name, "url": plan.url(name), "failpoints": plan.url(f"{name}-admin")}
            for name in INSTANCES
        ],
        "auth": {"url": plan.url("auth"), "service_id": "platform", "admin": plan.url("auth")},
        "database": {
            "host": LOOPBACK,
            "port": plan.ports["postgres"],
            "name": DATABASE,
            "user": DATABASE_USER,
            "sslmode": "disable",
            "pool_timeout_s": 0.5,
            "password": {"secret_id": DATABASE_SECRET, "key": "password"},
        },
        "mlflow": {"url": plan.url("mlflow"), "artifact_bucket": BUCKET},
        "aws": _aws(plan),
        "breaker": {"path": _breaker(scenario)},
        "links": {
            "url": plan.url("links"),
            "edges": {edge: proxy_name(edge) for edge in plan.edges},
        },
        "control": {
            "url": plan.url("control"),
            "token": secret("CONTROL_TOKEN"),
            "processes": {
                **{name: name for name in INSTANCES},
                "api": "api-1",
                "mlflow": "mlflow",
                "postgres": "postgres",
                "redis": "redis",
                "auth": "auth",
                "load_balancer": "balancer",
            },
        },
        "permissions": {
            "faults": FAULTS,
            "load": {"max_rate": 5000.0, "max_duration_s": 600.0, "max_connections": 400, "rate": 500.0},
        },
    }
    if scenario.redis_deployed:
        values["redis"] = {
            "host": LOOPBACK,
            "port": plan.ports["redis"],
            "password": secret("REDIS_PASSWORD"),
        }
    else:
        values["topology"] = {
            "redis": {"optional": True, "deployed": False, "team": "infrastructure"},
            "message_queue": {
                "depends_on": ["redis"],
                "optional": True,
                "deployed": False,
                "team": "api",
            },
        }
    return values


def _breaker(scenario: Scenario) -> str:
    """The breaker that the instances run, a scenario's wrong one included: the unit tests are of the
    code that is deployed."""
    from hokusai_sandbox.gateway.defects import DEFECTS

    parts = [part for name in scenario.defects if name in DEFECTS for part in DEFECTS[name].parts]
    wrong = dict(parts).get("breaker")
    return f"{wrong.__module__}:{wrong.__name__}" if wrong else "hokusai_sandbox.breaker:MLflowCircuitBreaker"


def _aws(plan: Plan) -> dict[str, object]:
    declared = declared_environment()
    registry, api, auth = HOSTS["registry"], HOSTS["api"], HOSTS["auth"]
    routes = [(registry, path, "api") for path in ("/", "/health", "/api/mlflow/*", "/mlflow/*", "/ready")]
    routes += [(api, path, "api") for path in ("/", "/health", "/api/mlflow/*", "/mlflow/*")]
    routes += [(auth, path, "auth") for path in ("/", "/health", "/api/v1/keys/validate")]
    return {
        "region": REGION,
        "endpoint_url": plan.url("aws"),
        "access_key": {"env": "HOKUSAI_SANDBOX_AWS_ACCESS_KEY"},
        "secret_key": {"env": "HOKUSAI_SANDBOX_AWS_SECRET_KEY"},
        "account_id": ACCOUNT,
        "cluster": CLUSTER,
        "load_balancers": list(LOAD_BALANCER_NAMES),
        "namespace": NAMESPACE,
        "discovery_names": {name: name for name in SERVICES},
        "rds_instance": RDS_INSTANCE,
        "database_secret": DATABASE_SECRET,
        "elasticache_cluster": ELASTICACHE_CLUSTER,
        "bucket": BUCKET,
        "services": {
            name: {
                "service": SERVICES[name],
                "desired": len(INSTANCES) if name == "api" else 1,
                "target_group": TARGET_GROUPS[name],
                "log_group": log_group(name),
                "container": name,
                "environment": declared[name],
                "secrets": [] if name == "auth" else ["DATABASE_PASSWORD"],
            }
            for name in SERVICES
        },
        "routes": [{"host": host, "path": path, "component": component} for host, path, component in routes],
    }


def to_toml(values: Mapping[str, object]) -> str:
    """A target file's text."""
    return (
        f"# Written by `hokusai-validation sandbox up`; made anew with every start.\n{tomlkit.dumps(values)}"
    )
