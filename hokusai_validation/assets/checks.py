"""One asset check a catalogued test."""

import re
from collections.abc import Iterable, Iterator, Sequence

import dagster as dg

from hokusai_validation.assets import metadata
from hokusai_validation.catalogue import Entry
from hokusai_validation.redaction import shown
from hokusai_validation.result import Result, Status, final_attempts

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]+")


def check_name(entry: Entry) -> str:
    """`U1_test_initial_state`: the id first, so that checks sort as the catalogue does."""
    function = entry.test.rpartition("::")[2]
    return _NOT_IN_NAMES.sub("_", f"{entry.id}_{function}").strip("_")


def check_specs(asset: dg.AssetKey, entries: Iterable[Entry]) -> list[dg.AssetCheckSpec]:
    """The checks that an asset declares."""
    return [
        dg.AssetCheckSpec(
            name=check_name(entry),
            asset=asset,
            description=entry.says,
            metadata={"test": entry.test, "critical": entry.critical, "component": entry.component},
        )
        for entry in entries
    ]


def check_results(
    asset: dg.AssetKey, entries: Sequence[Entry], results: Iterable[Result]
) -> Iterator[dg.AssetCheckResult]:
    """A result for every declared check: red (ERROR) where a critical test failed or is broken,
    yellow (WARN) for the others and for what was skipped, which never counts as passed."""
    last = {result.test: result for result in final_attempts(results)}
    for entry in entries:
        result = last[entry.test]
        error = entry.critical and result.status in (Status.FAILED, Status.BROKEN)
        yield dg.AssetCheckResult(
            asset_key=asset,
            check_name=check_name(entry),
            passed=result.status is Status.PASSED,
            severity=dg.AssetCheckSeverity.ERROR if error else dg.AssetCheckSeverity.WARN,
            description=_description(result),
            metadata={
                "status": result.status.value,
                "duration_s": round(result.duration_s, metadata.DIGITS),
                "component": result.component,
                "attempt": result.attempt,
                "flaky": result.flaky,
                "run": metadata.run(result.run_id),
                **{name: value for name, value in result.metrics.items() if value == value},  # no NaN
            },
        )


def _description(result: Result) -> str:
    """The UI calls every check that did not pass `Failed`: what is not the target's fault says so."""
    if result.status in (Status.BROKEN, Status.SKIPPED):
        return f"{result.status.value}: {shown(result.message, 500)}"
    return shown(result.message, 500) or result.status.value
