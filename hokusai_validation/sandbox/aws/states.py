"""States of AWS that its API can't bring about, each undone again by `clear`.

A state changes what moto keeps (so that every call that shows it agrees), or which calls are let
through. What really happens to the processes and to the targets' health is told to us by the
supervisor and by the balancer, and shows too.
"""

import copy
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.elbv2.models import FakeAction, FakeTargetGroup
from moto.logs.models import logs_backends

from hokusai_validation.sandbox.aws import patches
from hokusai_validation.sandbox.aws.patches import Health
from hokusai_validation.sandbox.aws.resources import Resources
from hokusai_validation.sandbox.aws.resources_names import SERVICES, log_group
from hokusai_validation.sandbox.aws.secret import change
from hokusai_validation.sandbox.plan import ACCOUNT, REGION


class StateError(ValueError):
    """No such state, or it can't be set with these values."""


Undo = Callable[[], None]


class States:
    """What is switched on, and how to switch it off."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self._active: dict[str, tuple[Mapping[str, Any], list[Undo]]] = {}
        self._denied: dict[str, int | None] = {}  # action -> how often still (None: always)
        self._throttled: dict[str, int | None] = {}
        self._health: dict[tuple[str, str], Health] = {}  # (group, id) as the balancer saw it
        self._forced_health: dict[tuple[str, str], Health] = {}
        self._keep_counts: set[str] = set()
        self.damages_objects = False  # what is read of the bucket has one bit flipped
        patches.apply(resources.ecs, self._health_of)

    def active(self) -> dict[str, Any]:
        """The states that are on, with what they were set to."""
        return {name: dict(values) for name, (values, _) in self._active.items()}

    def set(self, name: str, values: Mapping[str, Any]) -> None:
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

    # --- what the processes and the balancer really see

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

    # --- the states; each returns what undoes it

    def _set_permission_missing(self, action: str, times: int | None = None) -> list[Undo]:
        self._denied[action] = times
        return [lambda: _drop(self._denied, action)]

    def _set_throttled(self, action: str, times: int | None = None) -> list[Undo]:
        self._throttled[action] = times
        return [lambda: _drop(self._throttled, action)]

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

    def _stop(self, task: Any, reason: str, exit_code: int) -> Undo:
        task.desired_status = "STOPPED"
        task.last_status = "STOPPED"
        task.stopped_reason = reason
        task.stop_code = "EssentialContainerExited"
        task.stopped_at = datetime.now(UTC)
        task.containers[0].last_status = "STOPPED"
        task.containers[0].exitCode = exit_code

        def back() -> None:
            task.desired_status = task.last_status = "RUNNING"
            task.stopped_reason, task.stop_code, task.stopped_at = "", None, None
            task.containers[0].last_status = "RUNNING"
            task.containers[0].exitCode = None

        return back

    def _forget(self, task: Any) -> None:
        for tasks in self.resources.ecs.tasks.values():
            tasks.pop(task.task_arn, None)

    def _set_target_unhealthy(
        self, component: str, reason: str = "Target.ResponseCodeMismatch", count: int | None = None
    ) -> list[Undo]:
        group = self.resources.groups[component]
        keys = [(group.arn, target) for target in list(group.targets)[:count]]
        description = "Health checks failed with these codes: [503]"
        self._forced_health.update(dict.fromkeys(keys, ("unhealthy", reason, description)))

        def back() -> None:
            for key in keys:
                self._forced_health.pop(key, None)

        return [back]

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

    def _set_secret_changed(self, password: str | None = None, username: str | None = None) -> list[Undo]:
        """The secret gets a new version now, with another login or the same one."""
        return [change(password, username)]

    def _set_wrong_listener_rule(self, path: str, component: str, host: str | None = None) -> list[Undo]:
        """A rule before all others sends `path` to a component's target group."""
        resources = self.resources
        conditions: list[dict[str, Any]] = [
            {"Field": "path-pattern", "PathPatternConfig": {"Values": [path]}}
        ]
        if host is not None:
            conditions.append({"Field": "host-header", "HostHeaderConfig": {"Values": [host]}})
        undo: list[Undo] = []
        for balancer in resources.elb.load_balancers.values():
            for listener in balancer.listeners.values():
                if listener.protocol == "HTTPS" and "registry" in balancer.name:
                    rule = resources.elb.create_rule(
                        listener.arn, conditions, 1, [resources.forward(component)]
                    )
                    undo.append(lambda arn=rule.arn: resources.elb.delete_rule(arn))  # type: ignore[misc]
        return undo

    def _set_wrong_default_action(self, component: str) -> list[Undo]:
        """The hosts' own rule of the registry balancer sends to another component."""
        undo: list[Undo] = []
        for balancer in self.resources.elb.load_balancers.values():
            for listener in balancer.listeners.values():
                if listener.protocol != "HTTPS" or "registry" not in balancer.name:
                    continue
                for rule in listener.rules.values():
                    if not rule.is_default:
                        before = rule.actions
                        # A new action: what the API shows of one is fixed when it is made.
                        rule.actions = [*before[:-1], FakeAction(self.resources.forward(component))]
                        undo.append(
                            lambda rule=rule, before=before: setattr(rule, "actions", before)  # type: ignore[misc]
                        )
        return undo

    def _set_redirect_host(self, host: str) -> list[Undo]:
        """The HTTP listeners redirect to this host, whatever host was asked for."""
        undo: list[Undo] = []
        for balancer in self.resources.elb.load_balancers.values():
            for listener in balancer.listeners.values():
                if listener.protocol == "HTTP":
                    config = listener.default_actions[0].data["RedirectConfig"]
                    undo.append(lambda config=config, old=config["Host"]: config.update(Host=old))  # type: ignore[misc]
                    config["Host"] = host
        return undo

    def _set_targets_missing(self, component: str) -> list[Undo]:
        """Nothing is registered in the component's target group."""
        group = self.resources.groups[component]
        before = dict(group.targets)
        group.targets.clear()
        return [lambda: group.targets.update(before)]

    def _set_name_missing(self, component: str) -> list[Undo]:
        """The component's private name has no instance, so it does not resolve."""
        service = self._discovery_service(component)
        before = list(service.instances)
        service.instances.clear()
        return [lambda: service.instances.extend(before)]

    def _set_name_stale(self, component: str, address: str = "127.0.0.99") -> list[Undo]:
        """The private name leads to an address of a task that is gone."""
        service = self._discovery_service(component)
        before = [dict(item.attributes) for item in service.instances]
        for item in service.instances:
            item.attributes["AWS_INSTANCE_IPV4"] = address

        def back() -> None:
            for item, attributes in zip(service.instances, before, strict=True):
                item.attributes = attributes

        return [back]

    def _set_log_silent(self, component: str) -> list[Undo]:
        """The component's log group is not there."""
        groups = logs_backends[ACCOUNT][REGION].groups
        name = log_group(component)
        before = groups.pop(name)
        return [lambda: groups.update({name: before})]

    def _discovery_service(self, component: str) -> Any:
        for service in self.resources.discovery.services.values():
            if service.name == component:
                return service
        raise StateError(f"No Cloud Map service {component!r}.")

    def _set_artifacts_damaged(self) -> list[Undo]:
        """Whatever is read from the bucket has another bit than what was written."""
        self.damages_objects = True
        return [lambda: setattr(self, "damages_objects", False)]

    def _set_rds_status(self, status: str) -> list[Undo]:
        database = self.resources.database
        before = database.status
        database.status = status
        return [lambda: setattr(database, "status", before)]

    def _set_metric(self, namespace: str, name: str, value: float, dimensions: dict[str, str]) -> list[Undo]:
        """The last ten minutes of a metric have this value."""
        backend = cloudwatch_backends[ACCOUNT][REGION]
        since = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=10)
        wanted = sorted(dimensions.items())
        changed: list[Any] = [
            item
            for item in backend.metric_data
            if item.name == name
            and item.namespace == namespace
            and sorted((each.name, each.value) for each in item.dimensions) == wanted
            and item.timestamp > since
        ]
        if not changed:
            raise StateError(f"No metric {namespace} {name} with these dimensions.")
        before = [item.value for item in changed]
        for item in changed:
            item.value = value

        def back() -> None:
            for item, old in zip(changed, before, strict=True):
                item.value = old

        return [back]


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
