"""What a run says: about the generator first, and only then about the target. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hokusai_validation.load.histogram import Histogram
from hokusai_validation.load.limits import Limits
from hokusai_validation.load.outcome import Outcome

MAX_LAG_P99_MS = 5.0
MAX_LAG_SHARE = 0.10  # of the latency's p99
MAX_CPU_SHARE = 0.80  # of a core, for each process
BASELINE_FLOOR_MS = 20.0

# How many samples a percentile needs, so that some twenty lie beyond it (p95: five, as promised).
CARRIED_FROM: Mapping[float, int] = {50.0: 10, 90.0: 50, 95.0: 100, 99.0: 2_000, 99.9: 20_000, 99.99: 200_000}


@dataclass(frozen=True)
class Breach:
    """A limit that was passed: `limit` is its name in `Limits`; `says` one sentence."""

    limit: str
    says: str


def carried(histogram: Histogram, percent: float) -> float | None:
    """A percentile in ms where the samples carry it, else None."""
    return histogram.percentile_ms(percent) if histogram.count >= CARRIED_FROM[percent] else None


def saturation(outcome: Outcome) -> str:
    """Why an open run can't be judged: what the generator itself fell behind by; empty when it kept
    up, and for a closed run."""
    if outcome.model != "open":
        return ""
    check = outcome.check
    reasons = []
    lag_ms = check.lag.percentile_ms(99) or 0.0
    latency_ms = outcome.intended.percentile_ms(99) or 0.0
    if lag_ms > MAX_LAG_P99_MS and lag_ms > MAX_LAG_SHARE * latency_ms:
        reasons.append(
            f"requests were sent late, p99 {lag_ms:.1f} ms (limits {MAX_LAG_P99_MS:g} ms and"
            f" {MAX_LAG_SHARE:.0%} of the latency's p99 of {latency_ms:.1f} ms; {check.late_share:.1%} were late)"
        )
    if check.dropped:
        reasons.append(f"{check.dropped} of {check.due} requests that were due could not be sent")
    if check.cpu_share > MAX_CPU_SHARE:
        reasons.append(f"it used {check.cpu_share:.0%} of a core (limit {MAX_CPU_SHARE:.0%})")
    return f"generator saturated: {'; '.join(reasons)}" if reasons else ""


def closed_limit(outcome: Outcome) -> str:
    """Of a closed run: what held its rate down, where it was not the target; else empty."""
    if outcome.model != "closed":
        return ""
    if outcome.check.cpu_share > MAX_CPU_SHARE:
        return (
            f"The generator, not the target, was the limit of this closed run: it used"
            f" {outcome.check.cpu_share:.0%} of a core."
        )
    if outcome.check.throttled:
        return (
            "The permitted rate, not the target, was the limit of this closed run:"
            f" {outcome.check.throttled} of {outcome.requests} requests were held back."
        )
    return ""


def breaches(outcome: Outcome, limits: Limits, endpoint: str | None = None) -> tuple[Breach, ...]:
    """Which limits a run passed, as a whole or at one endpoint. Share of good answers and mean are
    judged in both models, percentiles in an open run only, the rate in a closed run only."""
    if endpoint is None:
        histogram, good_share, errors = outcome.intended, outcome.good_share, outcome.errors
    else:
        part = outcome.endpoints[endpoint]
        histogram, good_share, errors = part.intended, part.good_share, dict(part.errors)
    run = f"{outcome.model} run" if endpoint is None else f"{outcome.model} run, {endpoint}"
    found = []
    if limits.good_share is not None and good_share < limits.good_share:
        seen = ", ".join(f"{kind} {count}" for kind, count in sorted(errors.items())) or "no request finished"
        found.append(
            Breach(
                "good_share",
                f"{run}: {good_share:.1%} good answers, at least {limits.good_share:.0%} were promised ({seen})",
            )
        )
    uppers: list[tuple[str, float | None, float | None]] = [("mean_ms", histogram.mean_ms, limits.mean_ms)]
    if outcome.model == "open":
        uppers.append(("p95_ms", carried(histogram, 95.0), limits.p95_ms))
        uppers.append(("p99_ms", carried(histogram, 99.0), limits.p99_ms))
    for name, value, limit in uppers:
        if limit is not None and value is not None and value >= limit:
            label = name.removesuffix("_ms")
            found.append(Breach(name, f"{run}: {label} {value:.1f} ms, under {limit:g} ms was promised"))
    if outcome.model == "closed" and limits.min_rate_per_s is not None:
        rate = outcome.rate_per_s
        if rate <= limits.min_rate_per_s:
            says = f"{run}: {rate:.1f} requests/s, more than {limits.min_rate_per_s:g}/s was promised"
            found.append(Breach("min_rate_per_s", says))
    return tuple(found)


def kept_up(later_ms: float | None, earlier_ms: float | None, factor: float) -> bool:
    """Whether a percentile stayed near an earlier one: within a factor, or 20 ms more. What the
    samples don't carry has not kept up: it was not seen to."""
    if later_ms is None or earlier_ms is None:
        return False
    return later_ms <= max(earlier_ms * factor, earlier_ms + BASELINE_FLOOR_MS)


def growth_mb(samples: Sequence[tuple[float, float]]) -> float | None:
    """How many megabytes (10⁶ bytes) memory grows by in 1,000 requests: the slope of the line
    through `(requests so far, bytes)` that is least far from all (least squares). None for fewer
    than three samples, or when no requests lie between them."""
    if len(samples) < 3:
        return None
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    if spread == 0:
        return None
    slope = sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread
    return slope * 1000 / 1e6
