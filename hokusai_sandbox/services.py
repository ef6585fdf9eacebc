"""How each process of the stack is started, and when it counts as ready. What the services stand on
is in `infrastructure`."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path

from hokusai_sandbox import infrastructure
from hokusai_sandbox.aws.settings import AwsSettings, Placed
from hokusai_sandbox.certificates import Certificates
from hokusai_sandbox.environment import base_environment
from hokusai_sandbox.infrastructure import PACKAGE, python
from hokusai_sandbox.plan import (
    BUCKET,
    BUILD_DATE,
    DATABASE,
    DATABASE_USER,
    GIT_COMMIT,
    INSTANCES,
    LOOPBACK,
    NAMESPACE,
    REGION,
    TASK_ADDRESSES,
    Plan,
)
from hokusai_sandbox.process import Service
from hokusai_sandbox.scenarios import Scenario
from hokusai_sandbox.webclient import answers


def all_services(
    plan: Plan, scenario: Scenario, certificates: Certificates, postgres_programs: Path, started_at: float
) -> dict[str, Service]:
    """By name, in the order in which they are started: what takes longest to be ready first."""
    home = plan.run_folder
    found = [
        _mlflow(plan, scenario, home),
        _aws(plan, scenario, certificates, home, started_at),
        *(_api(plan, scenario, home, instance) for instance in INSTANCES),
        _auth(plan, scenario, home),
        infrastructure.links(plan, scenario, home),
        infrastructure.redis(plan, home),
        infrastructure.balancer(plan, certificates, home),
        infrastructure.dns(plan, home),
        infrastructure.postgres(plan, scenario, home, postgres_programs),
    ]
    return {item.name: item for item in found if item.name not in scenario.absent}


def _aws_client(plan: Plan, endpoint: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": plan.secrets.aws_access_key,
        "AWS_SECRET_ACCESS_KEY": plan.secrets.aws_secret_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
    }


def _mlflow(plan: Plan, scenario: Scenario, home: Path) -> Service:
    storage = f"http://{plan.link('mlflow->artifacts')}"
    database = (
        f"postgresql+psycopg2://{DATABASE_USER}:{plan.secrets.mlflow_database}"
        f"@{plan.link('mlflow->postgres')}/{DATABASE}"
    )
    values = base_environment(home) | _aws_client(plan, storage)
    values |= {
        "SANDBOX_MLFLOW_PORT": str(plan.ports["mlflow"]),
        "_MLFLOW_SERVER_FILE_STORE": database,
        "_MLFLOW_SERVER_REGISTRY_STORE": database,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"s3://{BUCKET}",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_S3_ENDPOINT_URL": storage,
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"localhost:*,127.0.0.1:*,mlflow.{NAMESPACE}:*,mlflow.{NAMESPACE}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    values |= scenario.mlflow
    return Service(
        name="mlflow",
        component="mlflow",
        command=python(f"{PACKAGE}.mlflow_server"),
        environment=values,
        address=plan.address("mlflow"),
        ready=functools.partial(
            answers,
            plan.address("mlflow"),
            "/api/2.0/mlflow/experiments/search",
            method="POST",
            body=b'{"max_results": 1}',
            server_name=f"mlflow.{NAMESPACE}",  # a name that it serves in every scenario
            timeout_s=10.0,
        ),
        limit_s=60.0,
    )


def _aws(
    plan: Plan, scenario: Scenario, certificates: Certificates, home: Path, started_at: float
) -> Service:
    settings = AwsSettings(
        port=plan.ports["aws"],
        token=plan.secrets.control_token,
        access_key=plan.secrets.aws_access_key,
        secret_key=plan.secrets.aws_secret_key,
        tasks={
            "api": tuple(
                Placed(name, TASK_ADDRESSES[name], plan.edges[f"load_balancer->{name}"]) for name in INSTANCES
            ),
            "auth": (Placed("auth", LOOPBACK, plan.edges["load_balancer->auth"]),),
            "mlflow": (Placed("mlflow", LOOPBACK, plan.ports["mlflow"]),),
        },
        environment=declared_environment(),
        secret={
            "username": DATABASE_USER,
            "password": plan.secrets.mlflow_database,
            "host": LOOPBACK,
            "port": plan.ports["postgres"],
            "dbname": DATABASE,
            "engine": "postgres",
        },
        database_address=LOOPBACK,
        database_port=plan.ports["postgres"],
        redis_port=plan.ports["redis"],
        certificate=certificates.certificate,
        certificate_key=certificates.key,
        commit=GIT_COMMIT,
        started_at=started_at,
        states=scenario.aws,
        log_files={
            "api": tuple(str(plan.log(name)) for name in INSTANCES),
            "auth": (str(plan.log("auth")),),
            "mlflow": (str(plan.log("mlflow")),),
        },
    )
    return Service(
        name="aws",
        component="aws",
        command=python(f"{PACKAGE}.aws"),
        environment=base_environment(home) | _aws_client(plan, plan.url("aws")) | settings.to_environment(),
        address=plan.address("aws"),
        ready=functools.partial(
            answers,
            plan.address("aws"),
            "/_sandbox/ready",
            headers={"Authorization": f"Bearer {plan.secrets.control_token}"},
        ),
    )


def declared_environment() -> dict[str, dict[str, str]]:
    """What each component's task definition declares (also what a target's parity check expects)."""
    return {
        "api": {
            "ENVIRONMENT": "development",
            "DATABASE_NAME": DATABASE,
            "DATABASE_USER": DATABASE_USER,
            "MLFLOW_TRACKING_URI": f"http://mlflow.{NAMESPACE}:5000",
            "MLFLOW_CB_FAILURE_THRESHOLD": "3",
            "MLFLOW_CB_RECOVERY_TIMEOUT": "1.0",
            "MLFLOW_CB_MAX_RECOVERY_ATTEMPTS": "5",
        },
        "auth": {"ENVIRONMENT": "development"},
        "mlflow": {"ENVIRONMENT": "development", "DATABASE_NAME": DATABASE, "DATABASE_USER": DATABASE_USER},
    }


def _api(plan: Plan, scenario: Scenario, home: Path, instance: str) -> Service:
    redis = f"redis://:{plan.secrets.redis}@{plan.link(f'{instance}->redis')}/0"
    queue = f"redis://:{plan.secrets.redis}@{plan.link(f'{instance}->message_queue')}/1"
    host, _, port = plan.link(f"{instance}->postgres").rpartition(":")
    values: Mapping[str, str] = {
        **base_environment(home),
        "HOST": LOOPBACK,
        "PORT": str(plan.ports[instance]),
        "ADMIN_PORT": str(plan.ports[f"{instance}-admin"]),
        "INSTANCE_NAME": instance,
        "MLFLOW_TRACKING_URI": f"http://{plan.link(f'{instance}->mlflow')}",
        "AUTH_SERVICE_URL": f"http://{plan.link(f'{instance}->auth')}",
        "DATABASE_HOST": host,
        "DATABASE_PORT": port,
        "DATABASE_NAME": DATABASE,
        "DATABASE_USER": DATABASE_USER,
        "DATABASE_PASSWORD": plan.secrets.mlflow_database,
        "REDIS_URL": redis if scenario.redis_deployed else "",
        "QUEUE_REDIS_URL": queue if scenario.redis_deployed else "",
        "MLFLOW_CB_FAILURE_THRESHOLD": "3",
        "MLFLOW_CB_RECOVERY_TIMEOUT": "1.0",
        "MLFLOW_CB_MAX_RECOVERY_ATTEMPTS": "5",
        "HEALTH_TIMEOUT_S": "2.0",
        "PROXY_TIMEOUT_S": "2.0",
        "KEY_CACHE_S": "300",
        "GIT_COMMIT": GIT_COMMIT,
        "BUILD_DATE": BUILD_DATE,
        "ENVIRONMENT": "development",
        "GATEWAY_DEFECTS": ",".join(scenario.defects),
        **{
            name.removesuffix(f"@{instance}"): value
            for name, value in scenario.api.items()
            if "@" not in name or name.endswith(f"@{instance}")
        },
    }
    return Service(
        name=instance,
        component="api",
        command=python(f"{PACKAGE}.gateway"),
        environment=values,
        address=plan.address(instance),
        ready=functools.partial(answers, plan.address(instance), "/live"),
        after=("aws",),
    )


def _auth(plan: Plan, scenario: Scenario, home: Path) -> Service:
    secrets = plan.secrets
    kinds = {
        "good": secrets.key_good,
        "expired": secrets.key_expired,
        "revoked": secrets.key_revoked,
        "limited": secrets.key_limited,
        "revocable": secrets.key_revocable,
    }
    keys: list[dict[str, object]] = [
        {"key": key, "kind": kind, "key_id": f"key-{kind}", "user_id": f"user-{kind}"}
        for kind, key in kinds.items()
    ]
    keys[0]["rate_limit_per_hour"] = 100_000_000  # a load run must not meet it
    values = base_environment(home) | {
        "HOST": LOOPBACK,
        "PORT": str(plan.ports["auth"]),
        "AUTH_KEYS": json.dumps(keys),
        "AUTH_STORE": str(home / "auth.sqlite"),
    }
    return Service(
        name="auth",
        component="auth",
        command=python(f"{PACKAGE}.auth_service"),
        environment={**values, **scenario.auth},
        address=plan.address("auth"),
        ready=functools.partial(answers, plan.address("auth"), "/health"),
        after=("aws",),
    )
