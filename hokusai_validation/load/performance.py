"""A run in the report's form: one entry an endpoint, its histogram encoded, its seconds beside it."""

from collections.abc import Mapping, Sequence

from hokusai_validation.load.histogram import Histogram
from hokusai_validation.load.outcome import EndpointOutcome, Outcome
from hokusai_validation.load.verdict import CARRIED_FROM, carried
from hokusai_validation.report import Performance

ALL = "all"


def performances(
    test: str, outcome: Outcome, samples: Sequence[Mapping[str, float]] = ()
) -> tuple[Performance, ...]:
    """One entry an endpoint; where there are several, one for all first, which has the series.
    `samples` are a sampler's seconds (`t_s` and numbers), merged into it by second."""
    series = merge(outcome, samples)
    parts = list(outcome.endpoints.values())
    if len(parts) > 1:
        whole = EndpointOutcome(ALL, outcome.requests, outcome.good, intended=outcome.intended)
        whole.errors.update(outcome.errors)
        parts.insert(0, whole)
    return tuple(
        _performance(test, outcome, part, series if index == 0 else ()) for index, part in enumerate(parts)
    )


def merge(outcome: Outcome, samples: Sequence[Mapping[str, float]]) -> tuple[Mapping[str, float], ...]:
    """The run's seconds with a sampler's numbers in them."""
    seconds = {entry["t_s"]: entry for entry in (second.numbers() for second in outcome.seconds)}
    for sample in samples:
        at = float(int(sample["t_s"]))
        seconds.setdefault(at, {"t_s": at}).update({k: v for k, v in sample.items() if k != "t_s"})
    return tuple(seconds[at] for at in sorted(seconds))


def curve(histogram: Histogram) -> tuple[tuple[float, float], ...]:
    """Points of the percentile curve (percentile, ms), as far as the samples carry it; the last is
    the highest latency, at 100."""
    if not histogram.count:
        return ()
    points = []
    beyond = 1.0
    steps = (1.0, 0.75, 0.5, 0.35, 0.25, 0.175, 0.125)
    percents = [0.0, 10.0, 25.0]
    while beyond * histogram.count >= 1:
        percents += [100 * (1 - beyond * step) for step in steps]
        beyond /= 10
    for percent in sorted(set(percents)):
        if (1 - percent / 100) * histogram.count >= 1:
            value = histogram.percentile_ms(percent)
            if value is not None:
                points.append((round(percent, 6), round(value, 4)))
    points.append((100.0, round(histogram.max_ms or 0.0, 4)))
    return tuple(points)


def numbers(outcome: Outcome) -> dict[str, float]:
    """The run's numbers as metrics of a row; a percentile only where the samples carry it. Errors
    are `errors_KIND`."""
    values = {
        "requests": float(outcome.requests),
        "rate_per_s": round(outcome.rate_per_s, 2),
        "good_share": round(outcome.good_share, 6),
    }
    histogram = outcome.intended
    for name, value in (("mean_ms", histogram.mean_ms), ("max_ms", histogram.max_ms)):
        if value is not None:
            values[name] = round(value, 3)
    for percent in CARRIED_FROM:
        value = carried(histogram, percent)
        if value is not None:
            values[f"p{percent:g}_ms"] = round(value, 3)
    return values | {f"errors_{kind}": float(count) for kind, count in outcome.errors.items()}


def _performance(
    test: str, outcome: Outcome, part: EndpointOutcome, series: Sequence[Mapping[str, float]]
) -> Performance:
    histogram = part.intended
    return Performance(
        test=test,
        endpoint=part.name,
        model=outcome.model,
        requests=part.requests,
        rate_per_s=part.requests / outcome.elapsed_s if outcome.elapsed_s > 0 else None,
        mean_ms=histogram.mean_ms,
        p50_ms=carried(histogram, 50.0),
        p90_ms=carried(histogram, 90.0),
        p95_ms=carried(histogram, 95.0),
        p99_ms=carried(histogram, 99.0),
        max_ms=histogram.max_ms,
        error_rate=part.error_rate,
        errors=dict(part.errors),
        histogram=histogram.encode(),
        curve=curve(histogram),
        series=tuple(series),
    )
