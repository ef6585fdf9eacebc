"""States of what holds data, and of what is known of it: the secret, the database, the bucket, metrics, logs."""

from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import logs_backends

from hokusai_sandbox.aws.resources import Resources
from hokusai_sandbox.aws.resources_names import log_group
from hokusai_sandbox.aws.secret import change
from hokusai_sandbox.aws.states_base import StateError, Undo
from hokusai_sandbox.plan import ACCOUNT, REGION


class DataStates:
    """Part of `States`. Each `_set_` method returns what undoes it."""

    resources: Resources
    damages_objects: bool

    def _set_secret_changed(self, password: str | None = None, username: str | None = None) -> list[Undo]:
        """The secret gets a new version now, with another login or the same one."""
        return [change(password, username)]

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

    def _set_log_silent(self, component: str) -> list[Undo]:
        """The component's log group is not there."""
        groups = logs_backends[ACCOUNT][REGION].groups
        name = log_group(component)
        before = groups.pop(name)
        return [lambda: groups.update({name: before})]
