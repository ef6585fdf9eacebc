"""Scores that are known from before this package: the service contract names two."""

from datetime import UTC, datetime

from hokusai_validation.diagnosis.history import RunSummary

KNOWN = ((datetime(2025, 7, 24, tzinfo=UTC), 6), (datetime(2025, 8, 5, tzinfo=UTC), 4))
CHECKS = 11


def known_scores() -> tuple[RunSummary, ...]:
    """The infrastructure health scores of 2025-07-24 (6/11) and 2025-08-05 (4/11), as runs that
    carry nothing else."""
    return tuple(
        RunSummary(
            run_id=f"imported-{at:%Y-%m-%d}",
            at=at,
            verdict="unhealthy",
            scores={"infrastructure_health": passed / CHECKS},
            imported=True,
        )
        for at, passed in KNOWN
    )
