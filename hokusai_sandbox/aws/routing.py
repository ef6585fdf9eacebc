"""What the balancer and the name server act on, read from what is registered: a wrong rule really
misroutes, a name that is missing really does not resolve."""

from typing import Any

from hokusai_sandbox.aws.resources import Resources
from hokusai_sandbox.aws.resources_names import LOAD_BALANCERS
from hokusai_sandbox.plan import HOSTS, LOOPBACK, NAMESPACE
from hokusai_sandbox.routing_table import ActionEntry, BalancerEntry, GroupEntry, RedirectEntry, TableEntry


def table(resources: Resources) -> TableEntry:
    """Per load balancer: the hosts whose public name it is, the rules of its HTTPS listener in
    order, and the target groups with their registered targets."""
    elb = resources.elb
    groups: dict[str, GroupEntry] = {
        group.arn: {
            "name": group.name,
            "health_path": group.health_check_path or "/",
            "targets": [
                {"id": str(item["Id"]), "port": int(item.get("Port") or group.port)}
                for item in group.targets.values()
            ],
        }
        for group in list(elb.target_groups.values())
    }
    balancers: list[BalancerEntry] = []
    for balancer in list(elb.load_balancers.values()):
        listener = next((item for item in balancer.listeners.values() if item.protocol == "HTTPS"), None)
        if listener is None:
            continue
        hosts = [HOSTS[host] for host in LOAD_BALANCERS.get(balancer.name, ((), ""))[0]]
        plain = next((item for item in balancer.listeners.values() if item.protocol == "HTTP"), None)
        rules = sorted(
            (rule for rule in listener.rules.values() if not rule.is_default), key=lambda r: int(r.priority)
        )
        balancers.append(
            {
                "name": balancer.name,
                "hosts": hosts,
                "rules": [
                    {"conditions": _conditions(rule.conditions), "action": _action(rule.actions)}
                    for rule in rules
                ],
                "default": _action(listener.default_actions),
                "redirect": None if plain is None else _redirect(plain.default_actions),
            }
        )
    return {"groups": groups, "balancers": balancers}


def names(resources: Resources) -> dict[str, list[str]]:
    """Every name that resolves, with its addresses of both families: Cloud Map's, and the public ones."""
    found = {host: [LOOPBACK] for host in HOSTS.values()}
    for service in list(resources.discovery.services.values()):
        addresses = [
            str(instance.attributes[family])
            for instance in service.instances
            for family in ("AWS_INSTANCE_IPV4", "AWS_INSTANCE_IPV6")
            if family in instance.attributes
        ]
        if addresses:
            found[f"{service.name}.{NAMESPACE}"] = addresses
    return found


def _conditions(conditions: list[dict[str, Any]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for item in conditions:
        field = str(item.get("Field"))
        config = item.get("HostHeaderConfig") or item.get("PathPatternConfig") or {}
        values[field] = [str(value) for value in (config.get("Values") or item.get("Values") or [])]
    return values


def _redirect(actions: list[Any]) -> RedirectEntry | None:
    data = actions[-1].data if hasattr(actions[-1], "data") else actions[-1]
    config = data.get("RedirectConfig")
    if config is None:
        return None
    status = 302 if "302" in str(config.get("StatusCode")) else 301
    return {
        "host": config.get("Host") or "#{host}",
        "path": config.get("Path") or "/#{path}",
        "status": status,
    }


def _action(actions: list[Any]) -> ActionEntry:
    data = actions[-1].data if hasattr(actions[-1], "data") else actions[-1]
    groups = [item["TargetGroupArn"] for item in (data.get("ForwardConfig") or {}).get("TargetGroups") or []]
    if not groups and data.get("TargetGroupArn"):
        groups = [data["TargetGroupArn"]]
    fixed = data.get("FixedResponseConfig") or {}
    return {"type": data.get("Type"), "groups": groups, "status": int(fixed.get("StatusCode") or 503)}
