"""What is measured and written down: CloudWatch's metrics and log groups."""

from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import logs_backends

from hokusai_sandbox.aws.log_lines import LogFiles
from hokusai_sandbox.aws.resources_names import SERVICES, log_group
from hokusai_sandbox.aws.settings import AwsSettings
from hokusai_sandbox.plan import ACCOUNT, CLUSTER, RDS_INSTANCE, REGION


def register(settings: AwsSettings) -> None:
    """The log groups, followed from the processes' log files, and an hour of metrics."""
    logs = logs_backends[ACCOUNT][REGION]
    now = datetime.now(UTC)
    for component in SERVICES:
        group = log_group(component)
        stream = f"{component}/{component}/1"
        logs.create_log_group(group, {})
        logs.groups[group].retention_in_days = 30
        logs.create_log_stream(group, stream)
        logs.put_log_events(
            group,
            stream,
            [{"timestamp": int(now.timestamp() * 1000), "message": f"{component}: started"}],
        )
    LogFiles(logs, {log_group(component): paths for component, paths in settings.log_files.items()}).install()
    for minute in range(60):
        measure(now - timedelta(minutes=minute))


def measure(at: datetime) -> None:
    """One minute's values of every metric that the stack has."""
    backend = cloudwatch_backends[ACCOUNT][REGION]
    services: list[dict[str, Any]] = []
    for service in SERVICES.values():
        dimensions = {"ClusterName": CLUSTER, "ServiceName": service}
        services += [
            _metric("CPUUtilization", 12.0, "Percent", at, dimensions),
            _metric("MemoryUtilization", 38.0, "Percent", at, dimensions),
        ]
    dimensions = {"DBInstanceIdentifier": RDS_INSTANCE}
    database = [
        _metric("CPUUtilization", 7.0, "Percent", at, dimensions),
        _metric("DatabaseConnections", 15.0, "Count", at, dimensions),
        _metric("FreeableMemory", 512.0 * 1024 * 1024, "Bytes", at, dimensions),
        _metric("FreeStorageSpace", 14.0 * 1024**3, "Bytes", at, dimensions),
    ]
    backend.put_metric_data("AWS/ECS", services)
    backend.put_metric_data("AWS/RDS", database)


def _metric(name: str, value: float, unit: str, at: datetime, dimensions: dict[str, str]) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Value": value,
        "Unit": unit,
        "Timestamp": at.replace(tzinfo=None),  # moto compares times without zone
        "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
    }
