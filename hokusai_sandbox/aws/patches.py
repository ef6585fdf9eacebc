"""Where moto says less than AWS does. Each patch is on this process's moto alone."""

import json
from collections.abc import Callable
from typing import Any

from moto.elbv2.models import FakeHealthStatus, FakeTargetGroup
from moto.moto_api import state_manager
from moto.rds.models import DBInstance
from moto.secretsmanager.models import secretsmanager_backends
from pydantic import JsonValue

from hokusai_sandbox.plan import ACCOUNT, LOOPBACK, REGION

# (state, reason, description)
Health = tuple[str, str, str]


def apply(ecs_backend: Any, health_of: Callable[[FakeTargetGroup, str], Health | None]) -> None:
    """All of them. `health_of` is what is known of a target, None when nothing is."""
    _health(health_of)
    _tasks(ecs_backend)
    _secret_versions()
    database: Any = DBInstance
    database.address = property(lambda self: LOOPBACK)  # as the stack's PostgreSQL is reached


def _health(health_of: Callable[[FakeTargetGroup, str], Health | None]) -> None:
    """moto calls every registered target healthy; ours are what the balancer sees."""
    groups: Any = FakeTargetGroup
    original = groups.health_for

    def health_for(self: FakeTargetGroup, target: dict[str, JsonValue], ec2_backend: Any) -> FakeHealthStatus:
        answer: FakeHealthStatus = original(self, target, ec2_backend)
        found = health_of(self, str(target["Id"]))
        if found is not None and answer.status == "healthy":
            answer.status, answer.reason, answer.description = found[0], found[1] or None, found[2] or None
        return answer

    groups.health_for = health_for


def _tasks(ecs_backend: Any) -> None:
    """moto does not filter tasks by service, and moves them on with every look at them."""
    original = ecs_backend.list_tasks
    names = ("cluster_str", "container_instance", "family", "started_by", "service_name", "desiredStatus")

    def list_tasks(*values: Any, **named: Any) -> list[Any]:
        given = dict(zip(names, values, strict=False)) | named
        found: list[Any] = original(**given)
        service = given.get("service_name")
        if service is None:
            return found
        group = f"service:{str(service).rpartition('/')[2]}"
        return [task for task in found if task.group == group]

    ecs_backend.list_tasks = list_tasks
    state_manager.set_transition("ecs::task", {"progression": "manual", "times": 1_000_000})


def _secret_versions() -> None:
    """moto says that every version of a secret was made just now."""
    backend: Any = secretsmanager_backends[ACCOUNT][REGION]

    def list_secret_version_ids(secret_id: str, **_: Any) -> str:
        secret = backend.secrets[secret_id]
        versions = [
            {
                "CreatedDate": version["createdate"],
                "VersionId": number,
                "VersionStages": version["version_stages"],
            }
            for number, version in secret.versions.items()
        ]
        return json.dumps({"ARN": secret.arn, "Name": secret.name, "Versions": versions})

    backend.list_secret_version_ids = list_secret_version_ids
