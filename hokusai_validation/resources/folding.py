"""Several questions of one kind as one observation. Pure.

What is folded stands side by side in time: a question that was answered before and after an outage
must not become a witness of the time between."""

import statistics
from collections.abc import Iterable
from datetime import timedelta

from hokusai_validation.observation import Observation, Samples

GAP_S = 1.0
_Key = tuple[object, ...]
# What a part said on the way of a question, good or bad.
_MET = {"reported.error": "reported", "reported.answer": "reported"}


def folded(
    observations: Iterable[Observation], *, failed: bool = False, gap_s: float | None = GAP_S
) -> list[Observation]:
    """Like ones that passed within `gap_s` of each other (None: whenever), with no failure of the same
    question in between, as one; with `failed` like failures too. The order of the first ones is kept."""
    groups: list[list[Observation]] = []
    open_groups: dict[_Key, list[Observation]] = {}
    for each in sorted(observations, key=lambda one: (one.started_at, one.mono_start_s)):
        question = (
            _MET.get(each.operation, each.operation),
            each.asker,
            each.dialled,
            each.instance,
            each.subject,
        )
        if not each.ok and gap_s is not None:
            # What is answered after a failure is another witness than what was before it.
            for key in [key for key in open_groups if key[: len(question)] == question]:
                standing = open_groups[key][0]
                if standing.ok or not failed or standing.error_class is not each.error_class:
                    del open_groups[key]
        key = (*question, *_rest(each))
        group = open_groups.get(key)
        near = group is not None and (
            gap_s is None or each.started_at - group[-1].ended_at <= timedelta(seconds=gap_s)
        )
        if group is not None and near and (each.ok or failed):
            group.append(each)
        else:
            group = [each]
            groups.append(group)
            open_groups[key] = group
    return [_one(group) for group in groups]


def _rest(each: Observation) -> _Key:
    return (
        each.kind,
        each.host,
        each.port,
        each.path,
        each.answered_by,
        each.outcome,
        each.error_class,
        each.native,
        each.status,
        each.expected,
        each.faults_on,
    )


def _one(group: list[Observation]) -> Observation:
    first = group[0]
    if len(group) == 1:
        return first
    last = max(each.ended_at for each in group)
    samples = Samples(
        n=sum(each.count for each in group),
        errors=sum(each.failures for each in group),
        first=min(each.samples.first if each.samples else each.started_at for each in group),
        last=max(each.samples.last if each.samples else each.started_at for each in group),
    )
    return first.model_copy(update={"ended_at": last, "samples": samples, "numbers": _numbers(group)})


def _numbers(group: list[Observation]) -> dict[str, float]:
    """The median of each number, and how far `elapsed_ms` went."""
    names = {name for each in group for name in each.numbers if not name.startswith("elapsed_ms_")}
    found = {
        name: round(statistics.median([each.numbers[name] for each in group if name in each.numbers]), 3)
        for name in sorted(names)
    }
    if "elapsed_ms" in found:
        low = [
            each.numbers.get("elapsed_ms_min", each.numbers["elapsed_ms"])
            for each in group
            if "elapsed_ms" in each.numbers
        ]
        high = [
            each.numbers.get("elapsed_ms_max", each.numbers["elapsed_ms"])
            for each in group
            if "elapsed_ms" in each.numbers
        ]
        found |= {"elapsed_ms_min": min(low), "elapsed_ms_max": max(high)}
    return found
