"""The timeline of an experiment: probes, breaker state, and when the fault was on."""

from hokusai_validation.result import Result


def timeline(row: Result) -> str:
    """The picture of a row's journal; empty where it has none."""
    return ""
