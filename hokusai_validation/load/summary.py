"""A run for people and programs: the numbers of `hokusai-validation load`."""

from pydantic import JsonValue

from hokusai_validation.load.outcome import Outcome
from hokusai_validation.load.performance import curve
from hokusai_validation.load.verdict import CARRIED_FROM, carried, closed_limit, saturation


def document(outcome: Outcome) -> dict[str, JsonValue]:
    """Everything as JSON; latencies in ms, null where the samples don't carry a percentile.
    `latency` counts from when requests were due, `latency_since_sent` from when they were sent."""
    return {
        "model": outcome.model,
        "verdict": "broken" if saturation(outcome) else "stopped" if outcome.stopped else "measured",
        "reason": saturation(outcome) or outcome.stopped or closed_limit(outcome),
        "elapsed_s": round(outcome.elapsed_s, 3),
        "requests": outcome.requests,
        "good": outcome.good,
        "good_share": round(outcome.good_share, 6),
        "rate_per_s": round(outcome.rate_per_s, 2),
        "errors": dict(outcome.errors),
        "statuses": {str(status): count for status, count in outcome.statuses.items()},
        "latency": _latency(outcome, "intended"),
        "latency_since_sent": _latency(outcome, "sent"),
        "endpoints": {name: _endpoint(outcome, name) for name in outcome.endpoints},
        "generator": {**outcome.check.numbers()},
        "connections_replaced": outcome.replaced,
        "requests_sent_again": outcome.retried,
        "requests_aborted": outcome.aborted,
        "ramp_up": {"requests": outcome.ramp_up_requests, "errors": outcome.ramp_up_errors},
        "curve": [[percent, value] for percent, value in curve(outcome.intended)],
        "seconds": [{**second.numbers()} for second in outcome.seconds],
        "histogram": outcome.intended.encode(),
        "histogram_since_sent": outcome.sent.encode(),
    }


def lines(outcome: Outcome) -> list[str]:
    """The same in a few lines for a terminal."""
    shown = [
        f"{outcome.requests} requests in {outcome.elapsed_s:.1f} s ({outcome.rate_per_s:.1f}/s,"
        f" {outcome.model} model), {outcome.good_share:.2%} good",
        "",
        f"{'latency in ms':<16}{'since due':>12}{'since sent':>12}",
    ]
    for percent in CARRIED_FROM:
        due, sent = carried(outcome.intended, percent), carried(outcome.sent, percent)
        shown.append(f"{f'p{percent:g}':<16}{_ms(due):>12}{_ms(sent):>12}")
    for name in ("mean_ms", "max_ms"):
        due, sent = getattr(outcome.intended, name), getattr(outcome.sent, name)
        shown.append(f"{name.removesuffix('_ms'):<16}{_ms(due):>12}{_ms(sent):>12}")
    shown.append("")
    if len(outcome.endpoints) > 1:
        for part in outcome.endpoints.values():
            mean = _ms(part.intended.mean_ms)
            shown.append(f"{part.name}: {part.requests} requests, {part.good_share:.2%} good, mean {mean} ms")
    if outcome.errors:
        listed = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.errors.items()))
        shown.append(f"errors: {listed}")
    statuses = ", ".join(f"{status} × {count}" for status, count in sorted(outcome.statuses.items()))
    shown.append(f"answers by status: {statuses or 'none'}")
    check = outcome.check
    shown.append(
        f"generator: {check.cpu_share:.0%} of a core, sent late {check.late_share:.2%}, lag p99"
        f" {_ms(check.lag.percentile_ms(99))} ms, {check.waited} waited for a connection,"
        f" {check.dropped} dropped"
    )
    note = saturation(outcome) or outcome.stopped or closed_limit(outcome)
    if note:
        shown.append(f"broken: {note}" if saturation(outcome) else note)
    return shown


def _endpoint(outcome: Outcome, name: str) -> dict[str, JsonValue]:
    part = outcome.endpoints[name]
    return {
        "requests": part.requests,
        "good": part.good,
        "error_rate": round(part.error_rate, 6),
        "errors": dict(part.errors),
        "mean_ms": part.intended.mean_ms,
        **{f"p{percent:g}_ms": carried(part.intended, percent) for percent in CARRIED_FROM},
        "max_ms": part.intended.max_ms,
    }


def _latency(outcome: Outcome, which: str) -> dict[str, JsonValue]:
    histogram = outcome.intended if which == "intended" else outcome.sent
    return {
        "mean_ms": histogram.mean_ms,
        **{f"p{percent:g}_ms": carried(histogram, percent) for percent in CARRIED_FROM},
        "max_ms": histogram.max_ms,
    }


def _ms(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
