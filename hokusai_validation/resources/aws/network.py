"""How requests find their way in AWS: load balancers, listeners and their rules, target groups,
certificates, and Cloud Map's names."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hokusai_validation.errors import AwsNotFound
from hokusai_validation.resources.aws.calls import PAGES_LIMIT, AwsCalls
from hokusai_validation.resources.aws.models import (
    Certificate,
    DiscoveryInstance,
    DiscoveryService,
    Listener,
    LoadBalancer,
    Namespace,
    Rule,
    RuleAction,
    RuleCondition,
    TargetGroup,
    TargetHealth,
)

if TYPE_CHECKING:
    from mypy_boto3_elbv2.type_defs import (
        ActionOutputTypeDef,
        ListenerTypeDef,
        RuleTypeDef,
        TargetGroupTypeDef,
    )
    from mypy_boto3_servicediscovery.type_defs import InstanceSummaryTypeDef, ServiceSummaryTypeDef


class Balancing:
    """Reads application load balancers."""

    def __init__(self, calls: AwsCalls) -> None:
        self._calls = calls

    def load_balancers(self, names: Iterable[str]) -> tuple[LoadBalancer, ...]:
        """The application load balancers of these names; all of the account where none is given.

        Raises AwsNotFound."""
        wanted = list(names)
        arguments = {"Names": wanted} if wanted else {}
        listed = self._calls.pages("elbv2", "describe_load_balancers", "LoadBalancers", **arguments)
        found = [item for item in listed if item.get("Type", "application") == "application"]
        return tuple(
            LoadBalancer(
                name=item["LoadBalancerName"],
                arn=item["LoadBalancerArn"],
                dns_name=item.get("DNSName", ""),
                state=item.get("State", {}).get("Code", ""),
                scheme=item.get("Scheme", ""),
            )
            for item in found
        )

    def listeners(self, balancer: LoadBalancer) -> tuple[Listener, ...]:
        """Its listeners with their rules and certificates, those for more names (SNI) too."""
        found = self._calls.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=balancer.arn)
        return tuple(
            Listener(
                arn=item["ListenerArn"],
                load_balancer=balancer.name,
                protocol=item.get("Protocol", ""),
                port=item.get("Port", 0),
                certificates=self._certificates_of(item),
                rules=self._rules(item["ListenerArn"]),
            )
            for item in found
        )

    def target_groups(self, names: Iterable[str]) -> Mapping[str, TargetGroup]:
        """Target groups by name.

        Raises AwsNotFound when one of them is not there."""
        wanted = sorted(set(names))
        if not wanted:
            return {}
        found = self._calls.pages("elbv2", "describe_target_groups", "TargetGroups", Names=wanted)
        return {item["TargetGroupName"]: _target_group(item) for item in found}

    def target_groups_of(self, arns: Iterable[str]) -> Mapping[str, TargetGroup]:
        """Target groups by ARN, for those that ECS names so.

        Raises AwsNotFound."""
        wanted = sorted(set(arns))
        if not wanted:
            return {}
        found = self._calls.pages("elbv2", "describe_target_groups", "TargetGroups", TargetGroupArns=wanted)
        return {item["TargetGroupArn"]: _target_group(item) for item in found}

    def target_health(self, group: TargetGroup) -> tuple[TargetHealth, ...]:
        """Its registered targets."""
        answer = self._calls.call("elbv2", "describe_target_health", TargetGroupArn=group.arn)
        return tuple(
            TargetHealth(
                id=item["Target"]["Id"],
                port=item["Target"].get("Port"),
                state=item.get("TargetHealth", {}).get("State", ""),
                reason=item.get("TargetHealth", {}).get("Reason", "") or "",
                description=item.get("TargetHealth", {}).get("Description", "") or "",
            )
            for item in answer.get("TargetHealthDescriptions", ())
        )

    def certificate(self, arn: str) -> Certificate:
        """A certificate of ACM.

        Raises AwsNotFound."""
        item = self._calls.call("acm", "describe_certificate", CertificateArn=arn)["Certificate"]
        return Certificate(
            arn=arn,
            domain=item.get("DomainName", ""),
            names=tuple(item.get("SubjectAlternativeNames", ())),
            status=item.get("Status", ""),
            expires_at=item.get("NotAfter"),
        )

    def _rules(self, listener_arn: str) -> tuple[Rule, ...]:
        found = self._calls.pages("elbv2", "describe_rules", "Rules", ListenerArn=listener_arn)
        rules = [_rule(item) for item in found]
        return tuple(sorted(rules, key=lambda rule: (rule.priority is None, rule.priority or 0)))

    def _certificates_of(self, listener: "ListenerTypeDef") -> tuple[str, ...]:
        default = [
            item["CertificateArn"] for item in listener.get("Certificates", ()) if "CertificateArn" in item
        ]
        if not default:
            return ()
        found = self._calls.pages(
            "elbv2", "describe_listener_certificates", "Certificates", ListenerArn=listener["ListenerArn"]
        )
        more = {item["CertificateArn"] for item in found if "CertificateArn" in item}
        return tuple(sorted(more | set(default)))


class Discovery:
    """Reads Cloud Map."""

    def __init__(self, calls: AwsCalls) -> None:
        self._calls = calls

    def namespace(self, name: str) -> Namespace:
        """A namespace with its services and their instances.

        Raises AwsNotFound."""
        found = [
            item
            for item in self._calls.pages("servicediscovery", "list_namespaces", "Namespaces")
            if item.get("Name") == name
        ]
        if not found:
            raise AwsNotFound(
                f"Cloud Map namespace {name} is not there; correct `aws.namespace` in the target file."
            )
        # A private and a public one may have the same name: inside the VPC the private one answers.
        chosen = next((item for item in found if item.get("Type") == "DNS_PRIVATE"), found[0])
        kind = chosen.get("Type", "")
        services = self._calls.pages(
            "servicediscovery",
            "list_services",
            "Services",
            Filters=[{"Name": "NAMESPACE_ID", "Values": [chosen["Id"]], "Condition": "EQ"}],
        )
        return Namespace(
            name=name,
            id=chosen["Id"],
            kind=kind,
            services=tuple(
                DiscoveryService(
                    name=item["Name"],
                    id=item["Id"],
                    in_dns=kind != "HTTP" and item.get("Type") != "HTTP",
                    instances=self._instances(item),
                )
                for item in services
            ),
        )

    def _instances(self, service: "ServiceSummaryTypeDef") -> tuple[DiscoveryInstance, ...]:
        found = list(
            self._calls.pages("servicediscovery", "list_instances", "Instances", ServiceId=service["Id"])
        )
        checked = service.get("HealthCheckConfig") or service.get("HealthCheckCustomConfig")
        health = self._health(service["Id"]) if found and checked else {}
        return tuple(_instance(item, health.get(item["Id"], "UNKNOWN")) for item in found)

    def _health(self, service_id: str) -> Mapping[str, str]:
        """The present health by instance. `AWS_INIT_HEALTH_STATUS` is only what it began with."""
        found: dict[str, str] = {}
        token: dict[str, str] = {}
        for _ in range(PAGES_LIMIT):
            answer = self._calls.call(
                "servicediscovery", "get_instances_health_status", ServiceId=service_id, **token
            )
            found |= answer.get("Status", {})
            if not answer.get("NextToken"):
                break
            token = {"NextToken": str(answer["NextToken"])}
        return found


def _instance(item: "InstanceSummaryTypeDef", health: str) -> DiscoveryInstance:
    attributes = item.get("Attributes", {})
    port = str(attributes.get("AWS_INSTANCE_PORT", ""))
    return DiscoveryInstance(
        id=item["Id"],
        address=attributes.get("AWS_INSTANCE_IPV4", ""),
        ipv6=attributes.get("AWS_INSTANCE_IPV6", ""),
        cname=attributes.get("AWS_INSTANCE_CNAME", "") or attributes.get("AWS_ALIAS_DNS_NAME", ""),
        port=int(port) if port.isdigit() else None,
        health=health,
    )


def _target_group(item: "TargetGroupTypeDef") -> TargetGroup:
    return TargetGroup(
        name=item["TargetGroupName"],
        arn=item["TargetGroupArn"],
        protocol=item.get("Protocol", ""),
        port=item.get("Port", 0) or 0,
        health_path=item.get("HealthCheckPath", "") or "",
        load_balancers=tuple(item.get("LoadBalancerArns", ())),
    )


def _rule(item: "RuleTypeDef") -> Rule:
    priority = str(item.get("Priority", "default"))
    return Rule(
        arn=item.get("RuleArn", ""),
        priority=int(priority) if priority.isdigit() else None,
        conditions=tuple(_condition(each) for each in item.get("Conditions", ())),
        actions=tuple(
            _action(each)
            for each in sorted(item.get("Actions", ()), key=lambda action: action.get("Order", 0) or 0)
        ),
    )


# Where AWS puts the values of a condition that are not under `Values`.
_CONDITION_KEYS: Mapping[str, str] = {
    "host-header": "HostHeaderConfig",
    "path-pattern": "PathPatternConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "source-ip": "SourceIpConfig",
    "http-header": "HttpHeaderConfig",
}


def _condition(item: Mapping[str, Any]) -> RuleCondition:
    field = item.get("Field", "")
    config = item.get(_CONDITION_KEYS.get(field, "")) or {}
    if field == "query-string":
        pairs = (item.get("QueryStringConfig") or {}).get("Values", ())
        return RuleCondition(
            field=field, pairs=tuple((pair.get("Key") or "", pair.get("Value") or "") for pair in pairs)
        )
    return RuleCondition(
        field=field,
        values=tuple(str(value) for value in config.get("Values") or item.get("Values") or ()),
        expressions=tuple(str(value) for value in config.get("RegexValues") or item.get("RegexValues") or ()),
        name=config.get("HttpHeaderName") or "",
    )


def _action(item: "ActionOutputTypeDef") -> RuleAction:
    groups = {
        each["TargetGroupArn"]: int(each.get("Weight", 1))
        for each in item.get("ForwardConfig", {}).get("TargetGroups", ())
    }
    if not groups and item.get("TargetGroupArn"):
        groups = {item["TargetGroupArn"]: 1}
    return RuleAction(
        type=item.get("Type", ""),
        target_groups=groups,
        redirect={str(key): str(value) for key, value in item.get("RedirectConfig", {}).items()},
        fixed_status=str(item.get("FixedResponseConfig", {}).get("StatusCode", "")),
    )
