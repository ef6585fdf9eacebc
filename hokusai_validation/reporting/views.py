"""The report from the sides that documents show: by component, endpoint, edge and requirement."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import JsonValue

from hokusai_validation.catalogue import REQUIREMENTS, entries, find
from hokusai_validation.report import Report
from hokusai_validation.result import Phase, Result, Status, final_attempts

# Worst first: a cell shows the worst status of its rows.
SEVERITY = (Status.FAILED, Status.BROKEN, Status.PASSED, Status.SKIPPED)
HASH_SHOWN = 12  # characters


@dataclass(frozen=True)
class Cell:
    """Tests of one component in one phase: the worst status, and how many passed of how many."""

    status: Status
    passed: int
    total: int


@dataclass(frozen=True)
class ComponentRow:
    """One component's line of the availability matrix."""

    component: str
    cells: Mapping[Phase, Cell]
    overall: Cell


@dataclass(frozen=True)
class EndpointRow:
    """One endpoint as it was exercised: `METHOD path`, how often, with which statuses, whether a
    test that called it failed, and the median time in ms."""

    endpoint: str
    calls: int
    statuses: Mapping[int, int]
    failing_tests: tuple[str, ...]
    median_ms: float


@dataclass(frozen=True)
class RequirementRow:
    """One requirement, its tests and their outcome."""

    requirement: str
    text: str
    results: tuple[Result, ...]
    cell: Cell


def finals(report: Report) -> tuple[Result, ...]:
    """The last attempt of each test, in the catalogue's order."""
    order = {entry.test: number for number, entry in enumerate(entries())}
    return tuple(
        sorted(final_attempts(report.results), key=lambda row: (order.get(row.test, len(order)), row.test))
    )


def cell(rows: Iterable[Result]) -> Cell:
    """The worst status of some rows; no rows count as skipped."""
    found = list(rows)
    statuses = {row.status for row in found}
    worst = next((status for status in SEVERITY if status in statuses), Status.SKIPPED)
    return Cell(worst, sum(row.status is Status.PASSED for row in found), len(found))


def matrix(report: Report) -> tuple[ComponentRow, ...]:
    """Component × phase, failing components first, then by name."""
    grouped: dict[str, dict[Phase, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for row in finals(report):
        grouped[row.component][row.phase].append(row)
    rows = [
        ComponentRow(
            component,
            {phase: cell(items) for phase, items in phases.items()},
            cell(item for items in phases.values() for item in items),
        )
        for component, phases in grouped.items()
    ]
    return tuple(sorted(rows, key=lambda row: (SEVERITY.index(row.overall.status), row.component)))


def endpoints(report: Report) -> tuple[EndpointRow, ...]:
    """Every endpoint that an answer in the evidence came from."""
    calls: dict[str, list[tuple[int, float, Result]]] = defaultdict(list)
    for row in finals(report):
        for answer in _answers(row.evidence):
            method, _, url = str(answer["request"]).partition(" ")
            path = urlsplit(url).path or "/"
            elapsed = answer.get("elapsed_ms")
            calls[f"{method} {path}"].append(
                (
                    int(str(answer["status"])),
                    float(elapsed) if isinstance(elapsed, int | float) else 0.0,
                    row,
                )
            )
    return tuple(_endpoint(name, calls[name]) for name in sorted(calls))


def requirements(report: Report) -> tuple[RequirementRow, ...]:
    """Requirement → tests → outcome, by the catalogue."""
    grouped: dict[str, list[Result]] = defaultdict(list)
    for row in finals(report):
        entry = find(row.test)
        if entry is not None:
            grouped[entry.requirement].append(row)
    return tuple(
        RequirementRow(name, text, tuple(grouped[name]), cell(grouped[name]))
        for name, text in REQUIREMENTS.items()
    )


def not_passed(report: Report) -> tuple[Result, ...]:
    """Failed rows, then broken ones; critical ones first."""
    rows = [row for row in finals(report) if row.status in (Status.FAILED, Status.BROKEN)]
    return tuple(
        sorted(rows, key=lambda r: (SEVERITY.index(r.status), not r.critical, list(Phase).index(r.phase)))
    )


def accepted(report: Report, *tests: str) -> str:
    """By whom, until when and why the target file's waivers accept some failed tests; empty where they don't."""
    said = []
    for each in report.waived:
        covered = len(set(tests) & set(each.tests))
        share = "" if covered == len(tests) else f" for {covered} of {len(tests)} tests"
        if covered:
            said.append(f"accepted by {each.owner} until {each.until}{share}: {each.reason}")
    return "; ".join(said)


def skipped_reasons(report: Report) -> tuple[tuple[str, int], ...]:
    """Why tests were not executed, the most frequent reason first."""
    counts: dict[str, int] = defaultdict(int)
    for row in finals(report):
        if row.status is Status.SKIPPED:
            counts[row.message] += 1
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def percent(share: float | None) -> str:
    """`54.5 %`, or `n/a` where nothing was counted."""
    return "n/a" if share is None else f"{share * 100:.1f} %"


def _endpoint(name: str, seen: list[tuple[int, float, Result]]) -> EndpointRow:
    statuses: dict[int, int] = defaultdict(int)
    for status, _, _ in seen:
        statuses[status] += 1
    times = sorted(elapsed for _, elapsed, _ in seen)
    failing = {row.test for _, _, row in seen if row.status is Status.FAILED}
    return EndpointRow(
        name, len(seen), dict(sorted(statuses.items())), tuple(sorted(failing)), times[len(times) // 2]
    )


def _answers(value: JsonValue | Mapping[str, JsonValue]) -> Iterator[Mapping[str, JsonValue]]:
    """Every recorded answer (an object with `request` and `status`) in a row's evidence."""
    if isinstance(value, Mapping):
        if isinstance(value.get("request"), str) and isinstance(value.get("status"), int):
            yield value
            return
        for item in value.values():
            yield from _answers(item)
    elif isinstance(value, list):
        for item in value:
            yield from _answers(item)


def edges(report: Report) -> tuple[Result, ...]:
    """The rows that show one edge of the topology at work (`…Communication::…[from->to]`)."""
    return tuple(row for row in finals(report) if "Communication" in row.test and "[" in row.test)


def edge_name(row: Result) -> str:
    """`api → mlflow` of such a row."""
    return row.test.partition("[")[2].rstrip("]").replace("->", " → ")


def troubles(report: Report) -> tuple[tuple[str, str], ...]:
    """What went wrong on the way of each phase's rows: phase and sentence."""
    return tuple(
        (source.phase, trouble.text) for source in report.provenance.phases for trouble in source.troubles
    )
