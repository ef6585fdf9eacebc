"""Which target groups are a component's, and which load balancers lead to them."""

from collections.abc import Mapping

from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.aws.models import LoadBalancer, TargetGroup
from hokusai_validation.target import Aws as Settings


def serving_groups(settings: Settings, aws: Aws) -> Mapping[str, tuple[TargetGroup, ...]]:
    """The groups of each component that names one: that one, and in a blue/green deployment the other
    that ECS says takes turns with it.

    Raises the leaves of AwsError."""
    named = {name: each for name, each in settings.services.items() if each.target_group}
    groups = aws.balancing.target_groups(each.target_group or "" for each in named.values())
    services = aws.ecs.services(each.service for each in named.values())
    found: dict[str, tuple[TargetGroup, ...]] = {}
    for component, each in named.items():
        own = groups[each.target_group or ""]
        state = services.get(each.service)
        by_turns = state is not None and (state.alternate_groups or state.controller != "ECS")
        others = set(state.target_groups) - {own.arn} if state is not None and by_turns else set()
        found[component] = (own, *aws.balancing.target_groups_of(others).values())
    return found


def balancers_of(settings: Settings, aws: Aws) -> tuple[LoadBalancer, ...]:
    """The load balancers that the target file names, else those whose rules lead to its groups: what else
    is in the account is none of ours.

    Raises the leaves of AwsError."""
    if settings.load_balancers:
        return aws.balancing.load_balancers(settings.load_balancers)
    arns = {
        arn
        for groups in serving_groups(settings, aws).values()
        for group in groups
        for arn in group.load_balancers
    }
    if not arns:
        return ()
    return tuple(each for each in aws.balancing.load_balancers(()) if each.arn in arns)
