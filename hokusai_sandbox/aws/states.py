"""States of AWS that its API can't bring about, each undone again by `clear`.

A state changes what moto keeps (so that every call that shows it agrees), or which calls are let
through. What really happens to the processes and to the targets' health is told to us by the
supervisor and by the balancer, and shows too.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from moto.elbv2.models import FakeTargetGroup
from pydantic import JsonValue

from hokusai_sandbox.aws import patches
from hokusai_sandbox.aws.patches import Health
from hokusai_sandbox.aws.resources import Resources
from hokusai_sandbox.aws.resources_names import SERVICES
from hokusai_sandbox.aws.states_base import StateError, Undo
from hokusai_sandbox.aws.states_data import DataStates
from hokusai_sandbox.aws.states_ecs import EcsStates
from hokusai_sandbox.aws.states_ways import WayStates


class States(EcsStates, WayStates, DataStates):
    """What is switched on, and how to switch it off."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self._active: dict[str, tuple[Mapping[str, JsonValue], list[Undo]]] = {}
        self._denied: dict[str, int | None] = {}  # action -> how often still (None: always)
        self._throttled: dict[str, int | None] = {}
        self._health: dict[tuple[str, str], Health] = {}  # (group, id) as the balancer saw it
        self._forced_health: dict[tuple[str, str], Health] = {}
        self._keep_counts: set[str] = set()
        self.damages_objects = False  # what is read of the bucket has one bit flipped
        patches.apply(resources.ecs, self._health_of)

    def active(self) -> dict[str, JsonValue]:
        """The states that are on, with what they were set to."""
        return {name: dict(values) for name, (values, _) in self._active.items()}

    def set(self, name: str, values: Mapping[str, JsonValue]) -> None:
        """Switch one on; one that is on is switched off first.

        Raises StateError."""
        method = getattr(self, f"_set_{name}", None)
        if method is None:
            known = sorted(item[5:] for item in dir(self) if item.startswith("_set_"))
            raise StateError(f"No state {name!r}; known: {', '.join(known)}.")
        self.clear(name)
        try:
            undo: list[Undo] = method(**values)
        except TypeError as error:
            raise StateError(f"State {name!r} can't be set with {sorted(values)}: {error}.") from None
        self._active[name] = (values, undo)

    def clear(self, name: str | None = None) -> None:
        """Switch one off, or all (newest first)."""
        for item in [name] if name is not None else list(reversed(self._active)):
            if item in self._active:
                for undo in reversed(self._active.pop(item)[1]):
                    undo()

    def as_at_start(self) -> None:
        """No state is on, and the services show the tasks that they started with: what died since
        has left no trace."""
        self.clear()
        for component in SERVICES:
            self.resources.fresh_tasks(component)

    def seen_health(self, health: list[Mapping[str, str]]) -> None:
        """The balancer's own view of its targets: `group` (ARN), `id`, `state`, `reason`, `description`."""
        self._health = {
            (item["group"], item["id"]): (item["state"], item.get("reason", ""), item.get("description", ""))
            for item in health
        }

    def process(self, component: str, process: str, state: str, replaced: bool = False) -> None:
        """The supervisor saw a process go `down` or come back `running`; `replaced`: it died by
        itself, so ECS has put a new task in its place."""
        if component not in SERVICES or component in self._keep_counts:
            return
        resources = self.resources
        service = resources.service(component)
        mine = [task for task in resources.tasks(component) if getattr(task, "process", "") == process]
        for task in mine:
            task.last_status = "RUNNING" if state == "running" else "PENDING"
            task.health_status = "HEALTHY" if state == "running" else "UNKNOWN"
            task.containers[0].last_status = task.last_status
        if replaced and mine and state == "running":
            place = next(item for item in resources.settings.tasks[component] if item.process == process)
            definition = resources.ecs.describe_task_definition(mine[0].task_definition_arn)
            self._stop(mine[0], "Essential container in task exited", 137)
            resources.task(component, place, definition, datetime.now(UTC))
        running = sum(1 for task in resources.tasks(component) if task.last_status == "RUNNING")
        service.running_count = running
        if service.deployments:
            service.deployments[0]["runningCount"] = running

    def _health_of(self, group: FakeTargetGroup, target: str) -> Health | None:
        key = (group.arn, target)
        return self._forced_health.get(key) or self._health.get(key)

    def denied(self, service: str, action: str) -> tuple[int, str, str] | None:
        """Whether a call is refused: (status, code, message)."""
        for name in (action, f"{service}:{action}", f"{service}:*"):
            if _spend(self._throttled, name):
                return 400, "ThrottlingException", "Rate exceeded"
            if _spend(self._denied, name):
                message = f"User: arn:aws:iam::sandbox is not authorized to perform: {service}:{action}"
                return 400, "AccessDeniedException", message
        return None

    # --- the states of access; the others are in the parts

    def _set_permission_missing(self, action: str, times: int | None = None) -> list[Undo]:
        self._denied[action] = times
        return [lambda: _drop(self._denied, action)]

    def _set_throttled(self, action: str, times: int | None = None) -> list[Undo]:
        self._throttled[action] = times
        return [lambda: _drop(self._throttled, action)]


def _spend(budget: dict[str, int | None], name: str) -> bool:
    if name not in budget:
        return False
    left = budget[name]
    if left is None:
        return True
    if left <= 0:
        return False
    budget[name] = left - 1
    return True


def _drop(budget: dict[str, int | None], name: str) -> None:
    budget.pop(name, None)
