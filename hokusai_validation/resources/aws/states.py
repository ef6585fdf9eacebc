"""What AWS's states mean for whoever uses the thing: it works, it does not, or the state does not tell. Pure.

Sources: "Viewing DB instance status" and "Viewing DB cluster status" of the RDS and Aurora user guides,
`DescribeCacheClusters`, `DescribeReplicationGroups` and `DescribeServerlessCaches` of ElastiCache,
"Target health status" of the Application Load Balancers' user guide.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from hokusai_validation.resources.aws.models import AwsModel, TargetHealth


class Works(StrEnum):
    """Whether the thing serves while it is in a state."""

    YES = "yes"
    NO = "no"
    UNTOLD = "untold"  # the state does not say, or is one that we don't know


_RDS_YES = {
    "available",
    "backing-up",
    "backtracking",
    "cloning-failed",
    "configuring-activity-stream",
    "configuring-associated-roles",
    "configuring-enhanced-monitoring",
    "configuring-iam-database-auth",
    "configuring-log-exports",
    "delete-precheck",
    "modifying",
    "moving-to-vpc",
    "promoting",
    "resetting-master-credentials",
    "scaling-compute",
    "scaling-storage",
    "storage-config-upgrade",
    "storage-initialization",
    "storage-optimization",
    "update-iam-db-auth",
}
_RDS_NO = {
    "creating",
    "deleting",
    "failed",
    "failing-over",
    "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable",
    "incompatible-create",
    "incompatible-network",
    "incompatible-option-group",
    "incompatible-parameters",
    "incompatible-restore",
    "insufficient-capacity",
    "migrating",
    "migration-failed",
    "rebooting",
    "restore-error",
    "starting",
    "stopped",
    "stopping",
    "storage-full",
    "upgrading",
}
_CACHE_YES = {"available", "modifying", "snapshotting"}
_CACHE_NO = {
    "creating",
    "create-failed",
    "deleted",
    "deleting",
    "incompatible-network",
    "rebooting cluster nodes",
    "restore-failed",
}


def rds(status: str) -> Works:
    """An RDS instance or an Aurora cluster."""
    return _among(status, _RDS_YES, _RDS_NO)


def cache(status: str) -> Works:
    """An ElastiCache cluster, replication group or serverless cache (which writes in capitals)."""
    return _among(status, _CACHE_YES, _CACHE_NO)


def _among(status: str, yes: set[str], no: set[str]) -> Works:
    known = status.lower()
    return Works.YES if known in yes else Works.NO if known in no else Works.UNTOLD


class SickTarget(AwsModel):
    """A target that should serve, and does not."""

    group: str
    target: TargetHealth

    def __str__(self) -> str:
        found = self.target
        reason = f"{found.reason}: {found.description}" if found.description else found.reason
        return f"{self.group}: {found.id}:{found.port} is {found.state or 'in no state'} ({reason})"


class GroupHealth(AwsModel):
    """What the targets of a component's groups come to. `sick` should serve and do not; `waiting` those that are not told yet; `untold` those that nobody checks."""

    serving: int = 0
    registered: int = 0
    sick: tuple[SickTarget, ...] = ()
    waiting: int = 0
    untold: int = 0

    @property
    def works(self) -> Works:
        """NO where a target is sick or none serves, UNTOLD where nobody checks them."""
        if self.sick:
            return Works.NO
        if self.serving:
            return Works.YES
        return Works.UNTOLD if self.untold else Works.NO

    def __str__(self) -> str:
        parts = [f"{self.serving} of {self.registered} targets healthy"]
        parts += [f"{self.waiting} not checked yet"] if self.waiting else []
        parts += [f"{self.untold} without health checks"] if self.untold else []
        return ", ".join([*parts, *map(str, self.sick)])


def targets(groups: Mapping[str, Sequence[TargetHealth]]) -> GroupHealth:
    """The health of a component by its target groups (in a blue/green deployment there are two, one of
    which is idle): targets that leave or are not in use neither serve nor count against it."""
    serving = registered = waiting = untold = 0
    sick: list[SickTarget] = []
    for name, found in groups.items():
        for each in found:
            state = each.state
            registered += 1
            serving += state == "healthy"
            waiting += state == "initial"
            untold += state == "unavailable"
            if state not in ("healthy", "initial", "unavailable", "draining", "unhealthy.draining", "unused"):
                sick.append(SickTarget(group=name, target=each))
    return GroupHealth(
        serving=serving, registered=registered, sick=tuple(sick), waiting=waiting, untold=untold
    )


def sentence(name: str, health: GroupHealth, states: Iterable[str]) -> str:
    """Why a component's groups do not serve although no target of them is sick."""
    if not health.registered:
        return f"{name} has no registered target"
    return f"{name} has no healthy target (all {', '.join(sorted(set(states)))})"
