"""Prometheus text, read by Prometheus's own parser."""

from hokusai_validation.facts import FactKind
from hokusai_validation.probes.contract.check import failure
from hokusai_validation.resources.http import Answer
from hokusai_validation.runner.evidence import Evidence


def gauge(answer: Answer, name: str, evidence: Evidence, *, via: str | None = None) -> float:
    """The one sample of a gauge.

    Raises ExpectationUnmet when the text does not parse, or has no such gauge."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(answer.text))
    except (ValueError, KeyError, IndexError) as error:
        raise failure(
            f"GET /metrics is no Prometheus text: {error}.", evidence, FactKind.SCHEMA_MISMATCH, via=via
        ) from None
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    if len(samples) != 1:
        raise failure(
            f"GET /metrics has {len(samples)} samples of {name}, expected one.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
            via=via,
        )
    return float(samples[0].value)
