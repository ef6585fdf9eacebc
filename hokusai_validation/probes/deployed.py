"""What of each component runs on ECS: read once for a test, with all its parts together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from hokusai_validation.errors import AwsNotFound, AwsPermissionMissing
from hokusai_validation.probes import parity
from hokusai_validation.report import Deployment
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.aws.models import (
    ContainerDefinition,
    EcsServiceState,
    SecretState,
    Task,
    TaskDefinition,
)
from hokusai_validation.target import Aws as Settings
from hokusai_validation.target import EcsService


@dataclass(frozen=True)
class Deployed:
    """One component's service, its tasks, and the definition that they run."""

    component: str
    declared: EcsService
    service: EcsServiceState
    tasks: tuple[Task, ...]
    definition: TaskDefinition

    @property
    def container(self) -> ContainerDefinition | None:
        """The container that the target file names, else the first."""
        return self.definition.container(self.declared.container)

    @property
    def since(self) -> datetime | None:
        """When the present deployment began."""
        primary = self.service.primary
        return None if primary is None else primary.created_at

    @property
    def oldest_start(self) -> datetime | None:
        """When the task that runs longest was started: it read its secrets then."""
        return min((task.started_at for task in self.tasks if task.started_at), default=None)

    @property
    def running_definitions(self) -> tuple[str, ...]:
        """The definitions that tasks really run."""
        return tuple(sorted({task.task_definition for task in self.tasks if task.task_definition}))


def deployed(aws: Aws, settings: Settings) -> tuple[Deployed, ...]:
    """Every component that the target file names a service for and that is there.

    Raises the leaves of AwsError."""
    states = aws.ecs.services(each.service for each in settings.services.values())
    found = []
    for component, declared in settings.services.items():
        state = states.get(declared.service)
        if state is None:
            continue
        tasks = tuple(task for task in aws.ecs.tasks(declared.service) if task.status == "RUNNING")
        # What runs counts, not what the service would start next.
        running = sorted({task.task_definition for task in tasks if task.task_definition})
        name = running[0] if running else state.task_definition
        try:
            definition = aws.ecs.task_definition(name)
        except AwsNotFound:
            definition = aws.ecs.task_definition(state.task_definition)
        found.append(
            Deployed(
                component=component, declared=declared, service=state, tasks=tasks, definition=definition
            )
        )
    return tuple(found)


def record(each: Deployed, versions: Mapping[str, str], own_commit: str | None) -> Deployment:
    """What goes on record of a component. `own_commit` is what the component says of itself."""
    container = each.container
    running = next(
        (
            item
            for task in each.tasks
            for item in task.containers
            if container is not None and item.name == container.name
        ),
        None,
    )
    image = (running.image if running is not None else "") or (
        container.image if container is not None else ""
    )
    declared = parity.commit_of(container.environment if container is not None else {}, image)
    return Deployment(
        component=each.component,
        task_definition=each.definition.arn,
        image=image or None,
        image_digest=(running.image_digest or None) if running is not None else None,
        # What the service itself says counts more than what was written into its definition.
        commit=own_commit or declared,
        deployed_at=each.since,
        secret_versions=versions,
    )


def secret_versions(each: Deployed, aws: Aws) -> dict[str, str]:
    """The present version of every secret that its tasks are given.

    Raises the leaves of AwsError, a missing permission apart."""
    versions: dict[str, str] = {}
    container = each.container
    for secret_id in sorted(
        {secret_arn(value) for value in (container.secrets.values() if container else ())}
    ):
        try:
            state = secret_state(secret_id, aws)
        except AwsPermissionMissing:
            continue
        if state.current is not None:
            versions[state.name] = state.current.id
    return versions


def secret_state(secret: str, aws: Aws) -> SecretState:
    """A secret of Secrets Manager, or a parameter of Systems Manager: ECS takes the latter by its ARN or,
    in the same region, by its name.

    Raises the leaves of AwsError."""
    if ":secretsmanager:" in secret:
        return aws.data.secret_state(secret)
    return aws.data.parameter_state(secret)


def secret_arn(value_from: str) -> str:
    """`valueFrom` may go on after the ARN: `:key:stage:version`."""
    match = re.match(r"(arn:aws[\w-]*:secretsmanager:[^:]*:[^:]*:secret:[^:]+)", value_from)
    return match.group(1) if match else value_from
