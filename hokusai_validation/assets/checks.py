"""One asset check a catalogued test."""

import re
from collections.abc import Iterable, Iterator, Sequence

import dagster as dg

from hokusai_validation.assets import metadata
from hokusai_validation.catalogue import Entry
from hokusai_validation.redaction import shown
from hokusai_validation.result import Category, Result, Status, final_attempts

_WIDTH = 2  # digits; the functional tests' groups have three
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]+")


def check_name(entry: Entry) -> str:
    """`U01_test_initial_state`: the id first, its number of one width, so that checks sort as the
    catalogue does. A check of the target's own goes by its name, whatever stands before it in the file."""
    if entry.category is Category.CHECK:
        return _NOT_IN_NAMES.sub("_", f"K_{entry.test.partition('[')[2]}").strip("_")
    function = entry.test.rpartition("::")[2]
    letters = entry.id.rstrip("0123456789")
    number = entry.id.removeprefix(letters).zfill(_WIDTH)
    return _NOT_IN_NAMES.sub("_", f"{letters}{number}_{function}").strip("_")


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
        result = last.get(entry.test)
        if result is None:
            yield _gone(asset, entry)
            continue
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


def _gone(asset: dg.AssetKey, entry: Entry) -> dg.AssetCheckResult:
    """Of a check that the target's file has no more since the definitions were loaded."""
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=check_name(entry),
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description="skipped: the target's file has this check no more; reload the definitions.",
    )


def _description(result: Result) -> str:
    """The UI calls every check that did not pass `Failed`: what is not the target's fault says so."""
    if result.status in (Status.BROKEN, Status.SKIPPED):
        return f"{result.status.value}: {shown(result.message, 500)}"
    return shown(result.message, 500) or result.status.value
