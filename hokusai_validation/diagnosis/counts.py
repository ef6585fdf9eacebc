"""How many tests ended how; the 67 add up to 67, whatever happened."""

from collections import Counter
from collections.abc import Sequence

from hokusai_validation import catalogue
from hokusai_validation.report import CatalogueCounts, Counts
from hokusai_validation.result import CATALOGUE_CATEGORIES, Category, Result, Status, final_attempts


def count(rows: Sequence[Result]) -> Counts:
    """Of the final attempts. The catalogue's counts are over its 67 entries: a parametrised case
    that is no entry of its own is not counted twice, and an entry without a row counts as broken."""
    final = final_attempts(rows)
    by_status = Counter(row.status.value for row in final)
    by_category = {
        category.value: _all_statuses(Counter(row.status for row in final if row.category is category))
        for category in Category
    }
    status_of = {row.test: row.status for row in final if row.category in CATALOGUE_CATEGORIES}
    listed = [entry.test for entry in catalogue.entries() if entry.in_catalogue]
    of_catalogue = Counter(status_of.get(test, Status.BROKEN) for test in listed)
    return Counts(
        by_status={status.value: by_status[status.value] for status in Status},
        by_category=by_category,
        catalogue=CatalogueCounts(
            total=len(listed),
            passed=of_catalogue[Status.PASSED],
            failed=of_catalogue[Status.FAILED],
            broken=of_catalogue[Status.BROKEN],
            skipped=of_catalogue[Status.SKIPPED],
        ),
    )


def _all_statuses(counter: Counter[Status]) -> dict[str, int]:
    return {status.value: counter[status] for status in Status}
