"""What holds data in AWS, and what is measured of it: RDS, ElastiCache, secrets, the bucket, logs,
CloudWatch's metrics."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from hokusai_validation.errors import AwsNotFound
from hokusai_validation.resources.aws import states
from hokusai_validation.resources.aws.calls import AwsCalls
from hokusai_validation.resources.aws.models import (
    CacheCluster,
    LogEvent,
    LogGroup,
    MetricPoint,
    RdsInstance,
    SecretState,
    SecretVersion,
)
from hokusai_validation.resources.aws.states import Works
from hokusai_validation.target import Aws as Section


class Data:
    """Reads stores and what is known of them."""

    def __init__(self, calls: AwsCalls) -> None:
        self._calls = calls

    def database_server(self, section: Section) -> RdsInstance:
        """The RDS instance or Aurora cluster that the target file names.

        Raises AwsNotFound."""
        if section.rds_cluster is not None:
            return self.rds_cluster(section.rds_cluster)
        return self.rds_instance(section.rds_instance or "")

    def rds_instance(self, identifier: str) -> RdsInstance:
        """An RDS instance.

        Raises AwsNotFound."""
        found = list(
            self._calls.pages("rds", "describe_db_instances", "DBInstances", DBInstanceIdentifier=identifier)
        )
        if not found:
            raise AwsNotFound(f"RDS instance {identifier} is not there; correct `aws.rds_instance`.")
        item = found[0]
        endpoint = item.get("Endpoint") or {}
        return RdsInstance(
            id=item["DBInstanceIdentifier"],
            status=item.get("DBInstanceStatus", ""),
            engine=item.get("Engine", ""),
            engine_version=item.get("EngineVersion", "") or "",
            address=endpoint.get("Address", "") or "",
            port=endpoint.get("Port"),
            user=item.get("MasterUsername", "") or "",
            database=item.get("DBName", "") or "",
            storage_gib=item.get("AllocatedStorage"),
            publicly_accessible=bool(item.get("PubliclyAccessible", False)),
            instance_class=item.get("DBInstanceClass", "") or "",
        )

    def rds_cluster(self, identifier: str) -> RdsInstance:
        """An Aurora (or Multi-AZ) cluster by its writer's address, in the same form; `members` are its
        instances, the writer first.

        Raises AwsNotFound."""
        found = list(
            self._calls.pages("rds", "describe_db_clusters", "DBClusters", DBClusterIdentifier=identifier)
        )
        if not found:
            raise AwsNotFound(f"RDS cluster {identifier} is not there; correct `aws.rds_cluster`.")
        item = found[0]
        members = sorted(item.get("DBClusterMembers", ()), key=lambda each: not each.get("IsClusterWriter"))
        return RdsInstance(
            id=item["DBClusterIdentifier"],
            status=item.get("Status", "") or "",
            engine=item.get("Engine", "") or "",
            engine_version=item.get("EngineVersion", "") or "",
            address=item.get("Endpoint", "") or "",
            port=item.get("Port"),
            user=item.get("MasterUsername", "") or "",
            database=item.get("DatabaseName", "") or "",
            storage_gib=item.get("AllocatedStorage"),
            publicly_accessible=bool(item.get("PubliclyAccessible", False)),
            instance_class=item.get("DBClusterInstanceClass", "") or "",
            members=tuple(str(each["DBInstanceIdentifier"]) for each in members),
        )

    def cache(self, section: Section) -> CacheCluster:
        """The ElastiCache replication group, serverless cache or cluster that the target file names.

        Raises AwsNotFound."""
        if section.elasticache_replication_group is not None:
            return self.replication_group(section.elasticache_replication_group)
        if section.elasticache_serverless is not None:
            return self.serverless_cache(section.elasticache_serverless)
        return self.cache_cluster(section.elasticache_cluster or "")

    def cache_cluster(self, identifier: str) -> CacheCluster:
        """An ElastiCache cluster.

        Raises AwsNotFound."""
        item = self._cache("describe_cache_clusters", "CacheClusters", "CacheClusterId", identifier)
        return CacheCluster(
            id=item["CacheClusterId"],
            status=item.get("CacheClusterStatus", ""),
            engine=item.get("Engine", "") or "",
            engine_version=item.get("EngineVersion", "") or "",
            nodes=item.get("NumCacheNodes", 0) or 0,
        )

    def replication_group(self, identifier: str) -> CacheCluster:
        """A replication group; its state is the worst of its own and its node groups'.

        Raises AwsNotFound."""
        item = self._cache(
            "describe_replication_groups", "ReplicationGroups", "ReplicationGroupId", identifier
        )
        told = [
            item.get("Status", "") or "",
            *(each.get("Status", "") for each in item.get("NodeGroups", ())),
        ]
        order = (Works.NO, Works.UNTOLD, Works.YES)
        return CacheCluster(
            id=item["ReplicationGroupId"],
            status=min(told, key=lambda status: order.index(states.cache(status))),
            engine=item.get("Engine", "") or "",
            nodes=len(item.get("MemberClusters", ())),
        )

    def serverless_cache(self, name: str) -> CacheCluster:
        """A serverless cache.

        Raises AwsNotFound."""
        item = self._cache("describe_serverless_caches", "ServerlessCaches", "ServerlessCacheName", name)
        return CacheCluster(
            id=item["ServerlessCacheName"],
            status=item.get("Status", "") or "",
            engine=item.get("Engine", "") or "",
            engine_version=item.get("FullEngineVersion", "") or "",
        )

    def _cache(self, operation: str, items: str, parameter: str, name: str) -> Mapping[str, Any]:
        found = list(self._calls.pages("elasticache", operation, items, **{parameter: name}))
        if not found:
            raise AwsNotFound(f"ElastiCache's {name} is not there; correct `aws.elasticache_…`.")
        item: Mapping[str, Any] = found[0]
        return item

    def parameter_state(self, name: str) -> SecretState:
        """What is known of a parameter of Systems Manager (by name or ARN) without reading it, as of a
        secret: its present version and since when.

        Raises AwsNotFound."""
        plain = name.partition(":parameter")[2] or name
        # An ARN leaves out the slash that a hierarchy's name begins with, or is followed by it.
        wanted = [plain] if plain == name else [plain, plain.removeprefix("/")]
        found = list(
            self._calls.pages(
                "ssm",
                "describe_parameters",
                "Parameters",
                ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": wanted}],
            )
        )
        if not found:
            raise AwsNotFound(f"Parameter {name} is not there.")
        item = found[0]
        version = SecretVersion(
            id=str(item.get("Version", "")), stages=("AWSCURRENT",), created_at=item.get("LastModifiedDate")
        )
        return SecretState(name=item["Name"], arn=item.get("ARN", "") or name, versions=(version,))

    def secret_state(self, secret_id: str) -> SecretState:
        """What is known of a secret without reading it: when it changed, which versions it has.

        Raises AwsNotFound."""
        item = self._calls.call("secretsmanager", "describe_secret", SecretId=secret_id)
        versions = self._calls.pages(
            "secretsmanager",
            "list_secret_version_ids",
            "Versions",
            SecretId=secret_id,
            IncludeDeprecated=True,
        )
        return SecretState(
            name=item["Name"],
            arn=item["ARN"],
            changed_at=item.get("LastChangedDate"),
            deleted=item.get("DeletedDate") is not None,
            versions=tuple(
                SecretVersion(
                    id=each["VersionId"],
                    stages=tuple(sorted(each.get("VersionStages") or ())),
                    created_at=each.get("CreatedDate"),
                )
                for each in versions
            ),
        )

    def secret_value(self, secret_id: str, stage: str = "AWSCURRENT") -> SecretStr:
        """A secret's text at a stage (`AWSCURRENT`, `AWSPREVIOUS`).

        Raises AwsNotFound."""
        answer = self._calls.call(
            "secretsmanager", "get_secret_value", SecretId=secret_id, VersionStage=stage
        )
        return SecretStr(str(answer.get("SecretString", "")))

    def bucket_exists(self, bucket: str) -> bool:
        """Whether a bucket is there and ours to list."""
        try:
            self._calls.call("s3", "head_bucket", Bucket=bucket)
        except AwsNotFound:
            return False
        return True

    def object_count(self, bucket: str, prefix: str, limit: int = 1000) -> int:
        """How many objects lie under a prefix; at most one page is counted."""
        answer = self._calls.call("s3", "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=limit)
        return int(answer.get("KeyCount", 0))

    def log_group(self, name: str) -> LogGroup:
        """A log group and when it last received a line.

        Raises AwsNotFound."""
        groups = self._calls.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)
        found = next((item for item in groups if item.get("logGroupName") == name), None)
        if found is None:
            raise AwsNotFound(f"Log group {name} is not there; the service writes its logs nowhere.")
        answer = self._calls.call(
            "logs",
            "describe_log_streams",
            logGroupName=name,
            orderBy="LastEventTime",
            descending=True,
            limit=1,
        )
        stamps = [
            stream.get("lastEventTimestamp") or stream.get("lastIngestionTime")
            for stream in answer.get("logStreams", ())
        ]
        newest = max((int(stamp) for stamp in stamps if stamp), default=None)
        return LogGroup(
            name=name,
            retention_days=found.get("retentionInDays"),
            last_event_at=None if newest is None else datetime.fromtimestamp(newest / 1000, UTC),
        )

    def log_events(
        self,
        group: str,
        since: datetime,
        *,
        until: datetime | None = None,
        pattern: str = "",
        limit: int = 1000,
    ) -> tuple[LogEvent, ...]:
        """The lines of a group since a moment, at most `limit`, the oldest first.

        Raises AwsNotFound."""
        arguments: dict[str, Any] = {"logGroupName": group, "startTime": int(since.timestamp() * 1000)}
        if until is not None:
            arguments["endTime"] = int(until.timestamp() * 1000)
        if pattern:
            arguments["filterPattern"] = pattern
        events: list[LogEvent] = []
        for item in self._calls.pages("logs", "filter_log_events", "events", **arguments):
            events.append(
                LogEvent(
                    at=datetime.fromtimestamp(int(item["timestamp"]) / 1000, UTC),
                    message=str(item.get("message", "")),
                )
            )
            if len(events) >= limit:
                break
        return tuple(events)

    def metric(
        self,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        *,
        statistic: str = "Average",
        minutes: int = 60,
        period_s: int = 60,
        until: datetime | None = None,
    ) -> tuple[MetricPoint, ...]:
        """A metric's values of the last minutes, oldest first; empty where it has none."""
        end = until or datetime.now(UTC)
        query = {
            "Id": "asked",
            "MetricStat": {
                "Metric": {
                    "Namespace": namespace,
                    "MetricName": name,
                    "Dimensions": [
                        {"Name": key, "Value": value} for key, value in sorted(dimensions.items())
                    ],
                },
                "Period": period_s,
                "Stat": statistic,
            },
            "ReturnData": True,
        }
        results = self._calls.pages(
            "cloudwatch",
            "get_metric_data",
            "MetricDataResults",
            MetricDataQueries=[query],
            StartTime=end - timedelta(minutes=minutes),
            EndTime=end,
            ScanBy="TimestampAscending",
        )
        points = [
            MetricPoint(at=at, value=value)
            for item in results
            for at, value in zip(item.get("Timestamps", ()), item.get("Values", ()), strict=True)
        ]
        return tuple(sorted(points, key=lambda point: point.at))
