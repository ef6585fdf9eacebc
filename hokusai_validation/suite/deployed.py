"""What of each component runs on ECS: read once for a test, with all its parts together."""

from dataclasses import dataclass
from datetime import datetime

from hokusai_validation.errors import AwsNotFound
from hokusai_validation.resources.aws import Aws
from hokusai_validation.resources.aws_models import ContainerDefinition, EcsServiceState, Task, TaskDefinition
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
