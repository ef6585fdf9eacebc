"""The counts that the goals are stated in, and the table for the documentation. Pure."""

from collections.abc import Sequence

from benchmarks.detection.model import Record

SINGLES, PAIRS, TRIPLES = 1, 2, 3


def totals(records: Sequence[Record]) -> dict[str, object]:
    """By name. Draws whose fault had no effect are counted in `no_effect` alone, beside what they gave
    too much; `cases` are those of public reports, controls among them."""
    judged = [record for record in records if not record.error]
    drawn = [record for record in judged if record.draw.case is None and not record.draw.control]
    effective = [record for record in drawn if record.effective]
    cases = [record for record in judged if record.draw.case is not None]
    controls = [record for record in judged if record.draw.control]

    def of(size: int) -> list[Record]:
        return [record for record in effective if record.draw.size == size]

    def all_found(size: int) -> int:
        return sum(record.outcome.all_found for record in of(size))

    return {
        "seeds": sorted({record.draw.seed for record in drawn if record.draw.seed is not None}),
        "runs": len(judged),
        "singles": len(of(SINGLES)),
        "singles_top1": sum(record.outcome.right for record in of(SINGLES)),
        "pairs": len(of(PAIRS)),
        "pairs_all": all_found(PAIRS),
        "triples": len(of(TRIPLES)),
        "triples_all": all_found(TRIPLES),
        "extra_findings": sum(len(record.outcome.extra) for record in judged if not record.draw.control),
        "wrong_p0": sum(len(record.outcome.wrong_p0) for record in judged),
        "control_runs": len(controls),
        "false_findings": sum(len(record.said) for record in controls),
        "cases": len(cases),
        "cases_right": sum(record.outcome.right for record in cases),
        "no_effect": len(drawn) - len(effective),
        "alternatives": sum(record.outcome.alternatives for record in judged),
        "errors": len(records) - len(judged),
    }


def table(records: Sequence[Record]) -> str:
    """Markdown: one row a run, then the totals."""
    lines = ["| draw | expected | found | right |", "| --- | --- | --- | --- |"]
    for record in records:
        found = "; ".join(map(str, record.said)) or record.error.replace("|", "/") or "nothing"
        marks = "no effect" if not record.effective else "yes" if record.outcome.right else "**no**"
        why = f" ({record.outcome.why})" if record.outcome.why and not record.outcome.right else ""
        wanted = "; ".join(map(str, record.draw.expected)) or "nothing"
        lines.append(f"| {_named(record)} | {wanted} | {found} | {marks}{why} |")
    counted = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in totals(records).items())
    return "\n".join([*lines, "", counted, ""])


def _named(record: Record) -> str:
    draw = record.draw
    faults = " + ".join(fault.id for fault in draw.faults) or draw.scenario or "clean"
    marks = "".join(f", {word}" for word, on in (("blind", draw.blind), ("busy", draw.busy)) if on)
    return f"{draw.id}: {faults}{marks}"
