"""Rows in, findings out: the entry of the diagnosis."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from hokusai_validation.diagnosis.advice import advice
from hokusai_validation.diagnosis.candidates import Candidate, candidates
from hokusai_validation.diagnosis.comparisons import compared
from hokusai_validation.diagnosis.evidence import Evidence, gather
from hokusai_validation.diagnosis.explanation import Explanation, explain, quality
from hokusai_validation.diagnosis.history import History
from hokusai_validation.diagnosis.kinds import GENERAL, Kind
from hokusai_validation.diagnosis.priority import priority
from hokusai_validation.diagnosis.reproduction import reproduction
from hokusai_validation.diagnosis.rows import injects
from hokusai_validation.diagnosis.scoring import Timing
from hokusai_validation.diagnosis.topology import Graph
from hokusai_validation.diagnosis.wording import Wording, consequence
from hokusai_validation.facts import Fact
from hokusai_validation.report import Cause, Confidence, Duty, Finding, Reference
from hokusai_validation.result import Result, SkipReason, Status, final_attempts, now
from hokusai_validation.target import Target

FACTS = 12  # kept with a finding; the rows have them all
REFERENCES = 8


def diagnose(
    results: Sequence[Result],
    target: Target,
    history: History | None = None,
    *,
    at: datetime | None = None,
) -> tuple[Finding, ...]:
    """The causes of what failed (and of alerts in what passed), the worst first. Every failed test
    stands in exactly one finding's `explains`. Reads statuses, observations, kinds of facts and metrics
    of the rows, and the target's topology: no text; never raises because of what stands in a row. `at`
    dates a finding that no earlier run had."""
    graph = Graph(target)
    evidence = gather(results, target, graph)
    seen = candidates(evidence, graph)
    proposed = (*seen, *compared(evidence, graph, {each.key for each in seen}))
    items = [each for each in evidence if each.item]
    held = set(items)
    items += [each for cause in proposed for each in sorted(cause.own - held, key=lambda one: one.key)]
    standing, unexplained = explain(items, proposed, graph)
    final = final_attempts(results)
    failed = [row for row in final if row.status is Status.FAILED]
    rows, left = _given(failed, standing, evidence, graph)
    unknown = _unknown(unexplained, left, graph)
    executed = sum(row.executed for row in final)
    blocked = [row for row in final if row.skip_reason is SkipReason.UNHEALTHY_BEFORE]
    found = [
        _finding(
            each,
            rows.get(each.candidate.key, []),
            target,
            graph,
            history or History(),
            at or now(),
            executed,
            blocked,
        )
        for each in standing
    ] + [
        _finding(each, tests, target, graph, history or History(), at or now(), executed, [])
        for each, tests in unknown
    ]
    found.sort(
        key=lambda finding: (
            finding.priority.value,
            finding.cause in GENERAL,
            -graph.depth(finding.component),
            -len(finding.explains),
            finding.key,
        )
    )
    return tuple(found)


def _given(
    failed: Sequence[Result], standing: Sequence[Explanation], evidence: Sequence[Evidence], graph: Graph
) -> tuple[dict[str, list[Result]], list[Result]]:
    """Each failed test to the cause that explains most of what it saw; those without one."""
    given: dict[str, list[Result]] = {}
    left = []
    seen_by: dict[str, list[Evidence]] = {}
    for each in evidence:
        if each.item:
            seen_by.setdefault(each.row.test, []).append(each)
    for row in failed:
        mine = seen_by.get(row.test, [])
        rated = {
            each.candidate.key: (
                max((quality(each.candidate, one, graph) for one in mine), default=0.0),
                sum(quality(each.candidate, one, graph) for one in mine),
                graph.depth(each.candidate.place),
                each.candidate.key,
            )
            for each in standing
        }
        best = max(rated, key=lambda key: rated[key], default=None)
        if best is not None and rated[best][0] > 0:
            given.setdefault(best, []).append(row)
            continue
        related = [] if mine and any(one.steady for one in mine) else _related(row, standing, graph)
        if related:
            given.setdefault(related[0], []).append(row)
        else:
            left.append(row)
    return given, left


def _related(row: Result, standing: Sequence[Explanation], graph: Graph) -> list[str]:
    """The outages that a test which says nothing of its own may follow from, the likeliest first."""
    near = graph.below(row.component) | {row.component}
    near |= {edge.to for each in row.observations for edge in each.path}
    if injects(row):
        near |= graph.above(row.component)
    found = [
        each.candidate for each in standing if each.candidate.kind.behind and each.candidate.place in near
    ]
    found.sort(key=lambda each: (-len(each.signs), -graph.depth(each.place), each.key))
    return [each.key for each in found]


def _unknown(
    unexplained: Iterable[Evidence], left: Sequence[Result], graph: Graph
) -> list[tuple[Explanation, list[Result]]]:
    """One for each signature, with its facts; tests that saw nothing go by their component."""
    tests = {row.test: row for row in left}
    groups: dict[str, tuple[list[Evidence], list[Result]]] = {}
    for one in unexplained:
        if one.row.test in tests:
            component = one.place if one.place in graph else graph.component_of(one.row.component)
            groups.setdefault(component, ([], []))[0].append(one)
    for row in left:
        seen = [name for name, (signs, _) in groups.items() if any(one.row.test == row.test for one in signs)]
        component = min(seen) if seen else graph.component_of(row.component)
        groups.setdefault(component, ([], []))[1].append(row)
    kind = Kind(Cause.UNKNOWN, frozenset())
    return [
        (
            Explanation(
                Candidate(Cause.UNKNOWN, kind, component, tuple(signs), Timing(Duty.ALWAYS)),
                dict.fromkeys(signs, 0.0),
            ),
            rows,
        )
        for component, (signs, rows) in sorted(groups.items())
        if rows
    ]


def _finding(
    explained: Explanation,
    rows: Sequence[Result],
    target: Target,
    graph: Graph,
    history: History,
    at: datetime,
    executed: int,
    blocked: Sequence[Result],
) -> Finding:
    cause = explained.candidate
    before = history.previous.findings.get(cause.key) if history.previous else None
    runs = before.runs + 1 if before else 1
    known = advice(cause.cause)
    words = Wording(cause, target)
    seen_in = {id(each.row): each.row for each in cause.signs}
    # Which attempts a share of errors meets is chance.
    by_chance = cause.timing.duty is Duty.SHARE
    missed = [] if by_chance else [row for row in seen_in.values() if row.status is Status.FAILED]
    wait = sum(row.blocked_by == cause.place for row in blocked)
    follows = [consequence(effect, target) for effect in explained.effects]
    if wait:
        follows.append(f"{wait} test{'' if wait == 1 else 's'} of what needs it could not be executed")
    return Finding(
        key=cause.key,
        cause=cause.cause,
        component=cause.place,
        title=words.title(),
        priority=priority(
            explained,
            rows or missed,
            executed,
            runs,
            graph,
        ),
        explains=tuple(row.test for row in rows),
        facts=_facts(cause),
        follows=tuple(follows),
        impact=words.filled(known.impact),
        reproduction=reproduction(cause.cause, cause.place, list(rows) or list(seen_in.values()), target),
        remedy=tuple(words.filled(step) for step in known.remedy),
        team=graph.team(cause.place),
        effort_h=known.effort_h,
        quick_win=known.quick_win,
        since=before.since if before else at,
        seen_runs=runs,
        instance=cause.instance,
        edge=f"{cause.asker}->{cause.place}" if cause.asker else None,
        operation=cause.operation or None,
        confidence=_confidence(explained),
        duty=cause.timing.duty,
        rate=round(cause.timing.rate, 4) if cause.timing.duty is Duty.SHARE else None,
        began_at=cause.timing.began,
        ended_at=cause.timing.ended,
        speaks_for=_references(cause.signs),
        speaks_against=_references(cause.timing.against),
    )


def _confidence(explained: Explanation) -> Confidence:
    cause = explained.candidate
    if cause.cause is Cause.UNKNOWN or (cause.timing.duty is Duty.SHARE and cause.timing.rate < 0.05):
        return Confidence.POSSIBLE
    seen_itself = any(each.last_hop for each in cause.signs) and cause.cause not in GENERAL
    if seen_itself and not explained.rivals and not cause.timing.against:
        return Confidence.CERTAIN
    if not any(each.last_hop for each in cause.signs) and explained.rivals:
        return Confidence.POSSIBLE
    return Confidence.LIKELY


def _facts(cause: Candidate) -> tuple[Fact, ...]:
    return tuple(dict.fromkeys(each.fact for each in cause.signs if each.fact))[:FACTS]


def _references(seen: Iterable[Evidence]) -> tuple[Reference, ...]:
    """Like ones as one, in the order of their first."""
    groups: dict[tuple[str, str, str, str | None, str], list[Evidence]] = {}
    for each in seen:
        key = (each.row.test, each.operation, each.place, each.instance, each.sign or "ok")
        groups.setdefault(key, []).append(each)
    return tuple(
        Reference(
            test=test,
            operation=operation,
            component=component,
            instance=instance,
            sign=str(sign),
            count=sum(each.count for each in group),
            first=min(each.first for each in group),
            last=max(each.last for each in group),
        )
        for (test, operation, component, instance, sign), group in list(groups.items())[:REFERENCES]
    )
