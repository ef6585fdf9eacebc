"""Whether latencies are really worse than before: two tests on histograms, each with its effect
size, and a correction for asking many times.

- *Shift*: the Mann–Whitney test (normal approximation, corrected for ties and continuity) on the
  binned samples; effect = Cliff's delta (the chance that a new sample is slower, less the chance
  that it is faster, −1 to 1).
- *Tail*: the share of new samples above the earlier p95, against 5 % (two-proportion z-test);
  effect = Cohen's h.

With thousands of samples every difference is significant, and samples of one run hang together; so
a change counts only with a p-value under `ALPHA` after Holm's correction *and* an effect that
matters *and* milliseconds that matter."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hokusai_validation.diagnosis.hdr import Binned

ALPHA = 0.01
MIN_DELTA = 0.33  # of Cliff's delta: a medium effect
MIN_H = 0.3  # of Cohen's h: 5 % above the earlier p95 become more than 13 %
MIN_SHIFT_MS = 20.0  # the catalogue's floor for comparisons
MIN_SAMPLES = 100


@dataclass(frozen=True)
class Outcome:
    """One comparison. `effect` is above 0 when the new samples are slower; `matters` says whether
    effect and milliseconds are large enough to be acted on; `p` is not yet corrected."""

    name: str
    p: float
    effect: float
    matters: bool


def shift(before: Binned, after: Binned) -> Outcome | None:
    """The Mann–Whitney test; None with too few samples to say anything."""
    n, m = before.total, after.total
    if n < MIN_SAMPLES or m < MIN_SAMPLES:
        return None
    old = dict(zip(before.values_ms, before.counts, strict=True))
    new = dict(zip(after.values_ms, after.counts, strict=True))
    below = 0  # old samples under the value
    slower_twice = 0  # 2 U, in whole numbers
    ties = 0
    for value in sorted(old.keys() | new.keys()):
        was, now = old.get(value, 0), new.get(value, 0)
        slower_twice += now * (2 * below + was)
        below += was
        ties += (was + now) ** 3 - (was + now)
    total = n + m
    mean = n * m / 2
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    distance = slower_twice / 2 - mean
    p = 1.0 if variance <= 0 else _two_sided(max(0.0, abs(distance) - 0.5) / math.sqrt(variance))
    delta = slower_twice / (n * m) - 1
    moved = abs((after.percentile_ms(50) or 0) - (before.percentile_ms(50) or 0))
    return Outcome("Mann–Whitney", p, delta, abs(delta) >= MIN_DELTA and moved >= MIN_SHIFT_MS)


def tail(before: Binned, after: Binned) -> Outcome | None:
    """The two-proportion test of the share above the earlier p95; None with too few samples."""
    n, m = before.total, after.total
    limit = before.percentile_ms(95)
    if n < MIN_SAMPLES or m < MIN_SAMPLES or limit is None:
        return None
    was, now = before.share_over(limit), after.share_over(limit)
    pooled = (was * n + now * m) / (n + m)
    spread = pooled * (1 - pooled) * (1 / n + 1 / m)
    p = 1.0 if spread <= 0 else _two_sided(abs(now - was) / math.sqrt(spread))
    h = 2 * (math.asin(math.sqrt(now)) - math.asin(math.sqrt(was)))
    moved = abs((after.percentile_ms(95) or 0) - limit)
    return Outcome("share above the earlier p95", p, h, abs(h) >= MIN_H and moved >= MIN_SHIFT_MS)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down correction: the same p-values, as large as asking so often makes them."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = largest
    return tuple(corrected)


def proportion_differs(passed_before: int, n: int, passed_after: int, m: int) -> float:
    """Fisher's exact test, two-sided, for shares of few trials: the p-value."""
    if not n or not m:
        return 1.0
    passed = passed_before + passed_after

    def log_weight(k: int) -> float:
        return _log_choose(n, k) + _log_choose(m, passed - k)

    low, high = max(0, passed - m), min(n, passed)
    weights = [log_weight(k) for k in range(low, high + 1)]
    top = max(weights)
    sizes = [math.exp(weight - top) for weight in weights]
    seen = sizes[passed_before - low]
    return min(1.0, sum(size for size in sizes if size <= seen * (1 + 1e-9)) / sum(sizes))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _two_sided(z: float) -> float:
    return math.erfc(z / math.sqrt(2))
