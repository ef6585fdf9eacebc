"""What CloudWatch measured: processor, memory and connections, for the performance metrics."""

from collections.abc import Mapping

import pytest

from hokusai_validation.facts import FactKind
from hokusai_validation.probes.contract.check import expect
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.aws.models import MetricPoint
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

MINUTES = 60


class TestCloudWatch:
    """The last hour."""

    def test_services_are_measured(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """Processor and memory of every service, in percent of what its tasks may use."""
        assert target.aws is not None
        unmeasured: list[str] = []
        for component, declared in target.aws.services.items():
            dimensions = {"ClusterName": target.aws.cluster, "ServiceName": declared.service}
            for name, short in (("CPUUtilization", "cpu"), ("MemoryUtilization", "memory")):
                points = aws.data.metric("AWS/ECS", name, dimensions, minutes=MINUTES)
                if not _record(f"{component}_{short}_percent", points, evidence):
                    unmeasured.append(f"{name} of {declared.service}")
                    evidence.fact(
                        FactKind.CONFIGURATION_DIFFERS, component, f"no values of {name}", via="aws"
                    )
        if unmeasured:
            pytest.fail(f"CloudWatch has no values of the last hour of {', '.join(unmeasured)}.")

    def test_database_is_measured(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """Processor, connections, free memory and free storage of the RDS instance."""
        assert target.aws is not None
        dimensions = {"DBInstanceIdentifier": target.aws.rds_instance or ""}
        wanted: Mapping[str, str] = {
            "CPUUtilization": "database_cpu_percent",
            "DatabaseConnections": "database_connections",
            "FreeableMemory": "database_free_memory_bytes",
            "FreeStorageSpace": "database_free_storage_bytes",
        }
        unmeasured = [
            name
            for name, short in wanted.items()
            if not _record(short, aws.data.metric("AWS/RDS", name, dimensions, minutes=MINUTES), evidence)
        ]
        expect(
            not unmeasured,
            f"CloudWatch has no values of the last hour of {', '.join(unmeasured)} of"
            f" {target.aws.rds_instance}.",
            evidence,
            FactKind.CONFIGURATION_DIFFERS,
            Role.DATABASE,
            via="aws",
        )


def _record(name: str, points: tuple[MetricPoint, ...], evidence: Evidence) -> bool:
    """Mean, highest and newest value as metrics; False where there is none."""
    if not points:
        return False
    values = [point.value for point in points]
    evidence.metric(name, sum(values) / len(values))
    evidence.metric(f"{name}_max", max(values))
    evidence.metric(f"{name}_last", values[-1])
    return True
