"""What CloudWatch measured while a run went on: CPU and memory of each ECS service, RDS's connections.

A point is the average of a minute and stands where its minute began. CloudWatch has it a minute or more
late, so a look right after a run may find little; what is not there is said, never drawn as nothing.
"""

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from hokusai_validation.errors import HokusaiError
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Aws as AwsSection
from hokusai_validation.target import Target

PERIOD_S = 60


class Measured(NamedTuple):
    """Entries as a `Watch` has them (`t_s`, seconds from the run's begin, and numbers), and what is
    missing of them and why."""

    seconds: list[dict[str, float]]
    notes: tuple[str, ...]


class _Metric(NamedTuple):
    name: str  # ends in its unit: `_reserved` is percent of what the service reserves
    namespace: str
    metric: str
    dimensions: dict[str, str]


def of_run(target: Target, secrets: Secrets, begin: datetime, end: datetime) -> Measured:
    """AWS's own numbers of a run, where nobody on the spot gives finer ones. Fails no test."""
    if target.aws is None or target.control is not None:
        return Measured([], ())
    if (end - begin).total_seconds() < PERIOD_S:
        return Measured(
            [], (f"CloudWatch: its points are {PERIOD_S} s apart, too far for a run this short.",)
        )
    try:
        aws = Aws.from_target(target, secrets)
    except HokusaiError as error:
        return Measured([], (f"CloudWatch: {error}",))
    try:
        return from_cloudwatch(aws, target, begin, end)
    finally:
        aws.close()


def from_cloudwatch(aws: Aws, target: Target, begin: datetime, end: datetime) -> Measured:
    """What was measured in the minutes that a run touched, as fine as CloudWatch gives it."""
    if target.aws is None:
        return Measured([], ())
    found: dict[int, dict[str, float]] = {}
    missing: list[str] = []
    # Whole minutes, as points have them; a stand-in counts its minutes from where it is asked.
    first, last = _whole(begin, math.floor), _whole(end, math.ceil)
    minutes = max(1, round((last - first).total_seconds() / PERIOD_S))
    for each in _metrics(target.aws):
        try:
            points = aws.data.metric(
                each.namespace, each.metric, each.dimensions, minutes=minutes, until=last, period_s=PERIOD_S
            )
        except HokusaiError as error:
            # The others would be asked by the same action, and fail alike.
            return Measured(_in_order(found), (f"CloudWatch: {error}",))
        except Exception as error:  # a picture is not worth a test
            return Measured(_in_order(found), (f"CloudWatch: {type(error).__name__}: {error}",))
        touched = [point for point in points if first <= point.at < last]
        for point in touched:
            second = max(0, int((point.at - begin).total_seconds()))
            found.setdefault(second, {"t_s": float(second)})[each.name] = point.value
        if not touched:
            missing.append(each.name)
    notes = (
        (f"CloudWatch has no point of this run's time (yet) for {', '.join(missing)}.",) if missing else ()
    )
    return Measured(_in_order(found), notes)


def _metrics(section: AwsSection) -> Iterator[_Metric]:
    for component, service in section.services.items():
        dimensions = {"ClusterName": section.cluster, "ServiceName": service.service}
        yield _Metric(f"{component}_cpu_reserved", "AWS/ECS", "CPUUtilization", dimensions)
        yield _Metric(f"{component}_memory_reserved", "AWS/ECS", "MemoryUtilization", dimensions)
    if section.rds_instance is not None:
        dimensions = {"DBInstanceIdentifier": section.rds_instance}
        # Not PostgreSQL's own count, which a sampler takes each second.
        yield _Metric("rds_connections", "AWS/RDS", "DatabaseConnections", dimensions)


def _whole(at: datetime, rounded: Callable[[float], int]) -> datetime:
    return datetime.fromtimestamp(rounded(at.timestamp() / PERIOD_S) * PERIOD_S, UTC)


def _in_order(found: dict[int, dict[str, float]]) -> list[dict[str, float]]:
    return [found[second] for second in sorted(found)]
