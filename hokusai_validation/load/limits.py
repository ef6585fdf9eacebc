"""What the load tests promise, test by test; a target file may ask for more, never for less."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from hokusai_validation.errors import UsageError
from hokusai_validation.target import Target


@dataclass(frozen=True)
class Limits:
    """`good_share` and `min_rate_per_s` are lower limits, all others upper ones; None: not limited.
    `trend_factor`: how much of an earlier percentile a later one may be, beside 20 ms more.
    `growth_mb`: megabytes of memory for 1,000 requests. `live_p99_ms`: of `/live` meanwhile."""

    good_share: float | None = None
    mean_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    min_rate_per_s: float | None = None
    live_p99_ms: float | None = None
    trend_factor: float | None = None
    recovery_s: float | None = None
    growth_mb: float | None = None


LOWER = ("good_share", "min_rate_per_s")

CATALOGUE: Mapping[str, Limits] = {
    "L1": Limits(good_share=0.95, mean_ms=1000, p95_ms=2000, min_rate_per_s=10),
    "L2": Limits(good_share=0.90, mean_ms=2000, p99_ms=5000),
    "L3": Limits(good_share=0.90, mean_ms=3000),
    "L4": Limits(good_share=0.93, mean_ms=1500),
    "L5": Limits(good_share=0.90, mean_ms=2000),
    "L6": Limits(good_share=0.80, mean_ms=8000, live_p99_ms=100),
    "L7": Limits(good_share=0.80, mean_ms=5000, trend_factor=1.5, recovery_s=5),
    "L8": Limits(good_share=0.80, mean_ms=3000, p95_ms=6000, trend_factor=1.5),
    "L9": Limits(good_share=0.83, growth_mb=1.0),
}


def limits_of(test_id: str, target: Target) -> Limits:
    """The catalogue's limits of a test, tightened by `limits.tests.ID` of the target file. A wider
    number there changes nothing: what was promised stays promised.

    Raises UsageError for a limit that does not exist."""
    promised = CATALOGUE[test_id]
    known = {field.name for field in fields(Limits)}
    tighter: dict[str, float] = {}
    for name, value in target.limits.tests.get(test_id, {}).items():
        if name not in known:
            raise UsageError(
                f"Target '{target.name}' sets `limits.tests.{test_id}.{name}`, which is not a limit;"
                f" there are {', '.join(sorted(known))}."
            )
        mine = getattr(promised, name)
        better = max if name in LOWER else min
        tighter[name] = value if mine is None else better(mine, value)
    if promised.live_p99_ms is not None:
        tighter["live_p99_ms"] = min(
            tighter.get("live_p99_ms", promised.live_p99_ms), target.limits.live_p99_ms
        )
    return replace(promised, **tighter)
