"""States of ECS: rollouts, counts, tasks, task definitions."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from hokusai_sandbox.aws.resources import PlacedTask, Resources
from hokusai_sandbox.aws.resources_names import SERVICES
from hokusai_sandbox.aws.states_base import Undo


class EcsStates:
    """Part of `States`. Each `_set_` method returns what undoes it."""

    resources: Resources
    _keep_counts: set[str]  # components whose counts a state has fixed

    def _set_rollout_failed(self, component: str) -> list[Undo]:
        reason = "ECS deployment circuit breaker: tasks failed to start."
        return self._rollout(component, "FAILED", reason, failed=3)

    def _set_rollout_in_progress(self, component: str) -> list[Undo]:
        return self._rollout(component, "IN_PROGRESS", "ECS deployment in progress.", failed=0)

    def _rollout(self, component: str, state: str, reason: str, *, failed: int) -> list[Undo]:
        service = self.resources.service(component)
        before = copy.deepcopy(service.deployments)
        service.deployments[0] |= {
            "rolloutState": state,
            "rolloutStateReason": reason,
            "failedTasks": failed,
            "updatedAt": datetime.now(UTC),
        }
        return [lambda: setattr(service, "deployments", before)]

    def _set_running_count(self, component: str, running: int) -> list[Undo]:
        service = self.resources.service(component)
        before: tuple[int, Any] = (service.running_count, copy.deepcopy(service.deployments))
        stopped = self.resources.tasks(component)[running:]
        service.running_count = running
        service.deployments[0]["runningCount"] = running
        undo = [self._stop(task, "Task failed to start", 1) for task in stopped]
        self._keep_counts.add(component)

        def back() -> None:
            service.running_count, service.deployments = before
            self._keep_counts.discard(component)

        return [back, *undo]

    def _set_task_restarted(self, component: str, reason: str = "OutOfMemoryError") -> list[Undo]:
        old = self.resources.tasks(component)[0]
        place = next(item for item in self.resources.settings.tasks[component] if item.process == old.process)
        definition = self.resources.ecs.describe_task_definition(old.task_definition_arn)
        undo = self._stop(old, f"Essential container in task exited: {reason}", 137)
        new = self.resources.task(component, place, definition, datetime.now(UTC) - timedelta(minutes=1))
        return [undo, lambda: self._forget(new)]

    def _stop(self, task: PlacedTask, reason: str, exit_code: int) -> Undo:
        task.desired_status = "STOPPED"
        task.last_status = "STOPPED"
        task.stopped_reason = reason
        task.stop_code = "EssentialContainerExited"
        task.stopped_at = datetime.now(UTC)
        container: Any = task.containers[0]
        container.last_status, container.exitCode = "STOPPED", exit_code

        def back() -> None:
            task.desired_status = task.last_status = "RUNNING"
            task.stopped_reason, task.stop_code, task.stopped_at = "", None, None
            container.last_status, container.exitCode = "RUNNING", None

        return back

    def _forget(self, task: PlacedTask) -> None:
        for tasks in self.resources.ecs.tasks.values():
            tasks.pop(task.task_arn, None)

    def _set_task_definition_old(self, component: str) -> list[Undo]:
        """The newest revision is registered, but the one before it runs."""
        resources = self.resources
        service = resources.service(component)
        before = (service.task_definition, copy.deepcopy(service.deployments))
        revisions = resources.ecs.task_definitions[SERVICES[component]]
        old = revisions[sorted(revisions)[-2]]
        tasks = resources.tasks(component)
        arns = [task.task_definition_arn for task in tasks]
        images = [task.containers[0].image for task in tasks]
        service.task_definition = old.arn
        service.deployments[0]["taskDefinition"] = old.arn
        for task in tasks:
            task.task_definition_arn = old.arn
            task.containers[0].image = old.container_definitions[0]["image"]

        def back() -> None:
            service.task_definition, service.deployments = before
            for task, arn, name in zip(tasks, arns, images, strict=True):
                task.task_definition_arn, task.containers[0].image = arn, name

        return [back]

    def _set_deployment(self, component: str, commit: str, rollout: str = "COMPLETED") -> list[Undo]:
        """A new revision is registered and rolled out now."""
        resources = self.resources
        service = resources.service(component)
        before = (service.task_definition, service.deployments, service.events)
        tasks = resources.tasks(component)
        now = datetime.now(UTC)
        new = resources.task_definition(component, commit, now)
        resources.deployed(component, new, now)
        service.deployments[0] |= {"rolloutState": rollout, "updatedAt": now}
        undo = [self._stop(task, "Scaling activity initiated by deployment", 0) for task in tasks]
        made = [resources.task(component, place, new, now) for place in resources.settings.tasks[component]]

        def back() -> None:
            service.task_definition, service.deployments, service.events = before
            resources.ecs.task_definitions[SERVICES[component]].pop(new.revision, None)
            for task in made:
                self._forget(task)

        return [back, *undo]

    def _set_environment_differs(self, component: str, name: str, value: str | None) -> list[Undo]:
        """The running task definition declares another value (None: does not declare it)."""
        definition = self.resources.ecs.describe_task_definition(
            self.resources.service(component).task_definition
        )
        container: Any = definition.container_definitions[0]
        before = container["environment"]
        others = [item for item in before if item["name"] != name]
        container["environment"] = others if value is None else [*others, {"name": name, "value": value}]
        return [lambda: container.update(environment=before)]
