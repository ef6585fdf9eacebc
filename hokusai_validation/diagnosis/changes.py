"""Two runs compared: what differs, whether it is worse, and whether that is more than chance."""

from collections.abc import Iterable, Mapping

from hokusai_validation.diagnosis.hdr import Binned, decode, merged
from hokusai_validation.diagnosis.history import RunSummary
from hokusai_validation.diagnosis.outcomes import FLAKY
from hokusai_validation.diagnosis.statistics import ALPHA, Outcome, holm, proportion_differs, shift, tail
from hokusai_validation.report import Change
from hokusai_validation.result import Status

_BADNESS = {
    Status.PASSED.value: 0,
    FLAKY: 1,
    Status.SKIPPED.value: 2,
    Status.BROKEN.value: 3,
    Status.FAILED.value: 4,
}
_VERDICTS = {"healthy": 0, "degraded": 1, "inconclusive": 2, "unhealthy": 3}

# One measured time a run: told apart only when it is clearly more than a run's own jitter.
RECOVERY_FACTOR, RECOVERY_FLOOR_S = 1.5, 1.0


def changes(before: RunSummary, after: RunSummary) -> tuple[Change, ...]:
    """Every difference, those that matter and are for the worse first. Things that only one of the
    two runs measured are not compared."""
    found = [
        *_verdict(before, after),
        *_services(before, after),
        *_tests(before, after),
        *_scores(before, after),
        *_latencies(before, after),
        *_recoveries(before, after),
    ]
    return tuple(
        sorted(found, key=lambda change: (not (change.worse and change.significant), not change.significant))
    )


def _verdict(before: RunSummary, after: RunSummary) -> Iterable[Change]:
    if before.verdict != after.verdict and not before.imported:
        worse = _VERDICTS.get(after.verdict, 2) > _VERDICTS.get(before.verdict, 2)
        yield Change(
            what="verdict", before=before.verdict, after=after.verdict, worse=worse, significant=True
        )


def _services(before: RunSummary, after: RunSummary) -> Iterable[Change]:
    for service in sorted(before.services.keys() & after.services.keys()):
        was, now = before.services[service], after.services[service]
        if was != now:
            yield Change(
                what=f"service {service}",
                before="healthy" if was else "unhealthy",
                after="healthy" if now else "unhealthy",
                worse=was,
                significant=True,
            )


def _tests(before: RunSummary, after: RunSummary) -> Iterable[Change]:
    """A test that failed has failed twice, so its change is no accident; a flaky one may be."""
    for test in sorted(before.outcomes.keys() & after.outcomes.keys()):
        was, now = before.outcomes[test], after.outcomes[test]
        if was != now:
            worse = _BADNESS.get(now, 3) > _BADNESS.get(was, 3)
            yield Change(what=test, before=was, after=now, worse=worse, significant=FLAKY not in (was, now))


def _scores(before: RunSummary, after: RunSummary) -> Iterable[Change]:
    for name in sorted(before.scores.keys() & after.scores.keys()):
        was, now = before.scores[name], after.scores[name]
        if was is None or now is None or was == now:
            continue
        test, significant = "", False
        if name == "test_success" and before.outcomes and after.outcomes:
            p = proportion_differs(*_passed(before), *_passed(after))
            test, significant = f"Fisher's exact test, p = {p:.2g}", p < ALPHA
        yield Change(
            what=f"score {name}",
            before=was,
            after=now,
            worse=now < was,
            significant=significant,
            test=test,
            effect=now - was,
        )


def _passed(run: RunSummary) -> tuple[int, int]:
    good = sum(outcome in (Status.PASSED.value, FLAKY) for outcome in run.outcomes.values())
    return good, good + sum(outcome == Status.FAILED.value for outcome in run.outcomes.values())


def _latencies(before: RunSummary, after: RunSummary) -> Iterable[Change]:
    """By endpoint, on the samples of the load runs that both runs made; corrected for all the
    comparisons made here."""
    asked: list[tuple[str, Binned, Binned, Outcome]] = []
    for endpoint, (old, new) in _shared_histograms(before, after).items():
        asked += [(endpoint, old, new, outcome) for test in (shift, tail) if (outcome := test(old, new))]
    corrected = holm([outcome.p for *_, outcome in asked])
    for (endpoint, old, new, outcome), p in zip(asked, corrected, strict=True):
        percent = 50 if outcome.name == "Mann–Whitney" else 95
        if p < ALPHA and outcome.matters:
            yield Change(
                what=f"p{percent} of {endpoint} (ms)",
                before=old.percentile_ms(percent),
                after=new.percentile_ms(percent),
                worse=outcome.effect > 0,
                significant=True,
                test=f"{outcome.name}, {old.total} against {new.total} samples, p = {p:.2g} (Holm)",
                effect=round(outcome.effect, 3),
            )


def _shared_histograms(before: RunSummary, after: RunSummary) -> dict[str, tuple[Binned, Binned]]:
    pairs: dict[str, list[tuple[Binned, Binned]]] = {}
    for key in sorted(before.histograms.keys() & after.histograms.keys()):
        try:
            pair = decode(before.histograms[key]), decode(after.histograms[key])
        except ValueError:
            continue
        pairs.setdefault(endpoint_of(key), []).append(pair)
    return {
        endpoint: (merged(old for old, _ in found), merged(new for _, new in found))
        for endpoint, found in pairs.items()
    }


def endpoint_of(key: str) -> str:
    """The endpoint in a histogram's key (`test|endpoint|model`)."""
    return key.split("|")[1] if key.count("|") >= 2 else key


def endpoint_histograms(histograms: Mapping[str, str]) -> dict[str, Binned]:
    """Endpoint → all its samples of one run. What can't be decoded is left out."""
    found: dict[str, list[Binned]] = {}
    for key in sorted(histograms):
        try:
            found.setdefault(endpoint_of(key), []).append(decode(histograms[key]))
        except ValueError:
            continue
    return {endpoint: merged(each) for endpoint, each in found.items()}


def _recoveries(before: RunSummary, after: RunSummary) -> Iterable[Change]:
    for test in sorted(before.recovery_s.keys() & after.recovery_s.keys()):
        was, now = before.recovery_s[test], after.recovery_s[test]
        slow, fast = max(was, now), min(was, now)
        if slow > fast * RECOVERY_FACTOR and slow - fast > RECOVERY_FLOOR_S:
            yield Change(
                what=f"recovery in {test} (s)",
                before=was,
                after=now,
                worse=now > was,
                significant=False,  # one measurement each: nothing to test
                effect=now / was if was else None,
            )
