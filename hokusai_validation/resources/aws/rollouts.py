"""Deployments that were already replaced: what `DescribeServices` no longer shows."""

from collections.abc import Iterable
from datetime import datetime

from hokusai_validation.errors import AwsPermissionMissing, AwsUnavailable
from hokusai_validation.resources.aws.calls import AwsCalls


def replaced_deployments(
    calls: AwsCalls, cluster: str, services: Iterable[str], since: datetime
) -> tuple[str, ...]:
    """`SERVICE/ID` of each service deployment that began since then and is not the service's newest,
    by `ListServiceDeployments`; none where the account (or a stand-in) does not offer that call
    or does not permit it.

    Raises AwsCredentialsRefused, AwsThrottled."""
    found: list[str] = []
    once = calls.once()
    for service in services:
        try:
            listed = [
                (item["createdAt"], str(item["serviceDeploymentArn"]).rsplit("/", 1)[-1])
                for item in once.pages(
                    "ecs",
                    "list_service_deployments",
                    "serviceDeployments",
                    cluster=cluster,
                    service=service,
                    createdAt={"after": since},
                )
            ]
        except (AwsPermissionMissing, AwsUnavailable):
            break
        found.extend(f"{service}/{name}" for _, name in sorted(listed)[:-1])
    once.close()
    return tuple(found)
