"""States of the ways to a service: targets, listener rules, redirects, names."""

import copy
from typing import Any

from moto.elbv2.models import FakeAction
from pydantic import JsonValue

from hokusai_sandbox.aws.patches import Health
from hokusai_sandbox.aws.resources import Resources
from hokusai_sandbox.aws.states_base import StateError, Undo


class WayStates:
    """Part of `States`. Each `_set_` method returns what undoes it."""

    resources: Resources
    _forced_health: dict[tuple[str, str], Health]  # (group, target) -> what is shown

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

    def _set_wrong_listener_rule(self, path: str, component: str, host: str | None = None) -> list[Undo]:
        """A rule before all others sends `path` to a component's target group."""
        resources = self.resources
        conditions: list[dict[str, JsonValue]] = [
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
                    before = listener.default_actions
                    data = copy.deepcopy(before[0].data)
                    data["RedirectConfig"]["Host"] = host
                    listener.default_actions = [FakeAction(data)]
                    undo.append(
                        lambda listener=listener, before=before: setattr(listener, "default_actions", before)  # type: ignore[misc]
                    )
        return undo

    def _set_health_check_path(self, component: str, path: str) -> list[Undo]:
        """The component's target group asks another path whether a target is well."""
        group = self.resources.groups[component]
        before = group.health_check_path
        group.health_check_path = path
        return [lambda: setattr(group, "health_check_path", before)]

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
        return self._registered(component, {"AWS_INSTANCE_IPV4": address})

    def _set_name_without_ipv4(self, component: str, address: str = "fd00::1") -> list[Undo]:
        """The private name has an IPv6 address alone."""
        return self._registered(component, {"AWS_INSTANCE_IPV6": address})

    def _registered(self, component: str, addresses: dict[str, str]) -> list[Undo]:
        service = self._discovery_service(component)
        before = [dict(item.attributes) for item in service.instances]
        for item in service.instances:
            item.attributes.pop("AWS_INSTANCE_IPV4", None)
            item.attributes.update(addresses)

        def back() -> None:
            for item, attributes in zip(service.instances, before, strict=True):
                item.attributes = attributes

        return [back]

    def _discovery_service(self, component: str) -> Any:
        for service in self.resources.discovery.services.values():
            if service.name == component:
                return service
        raise StateError(f"No Cloud Map service {component!r}.")
