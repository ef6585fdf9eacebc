"""What is kept of every draw: a JSON line, and the run's rows with their observations, so that the
diagnosis alone can be judged again in seconds."""

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.detection.judge import judge
from benchmarks.detection.model import Draw, Record, Said
from hokusai_validation.diagnosis import diagnose
from hokusai_validation.diagnosis.verdict import judge as verdict_of
from hokusai_validation.report import Finding, Report
from hokusai_validation.target import Target

LINES = "draws.jsonl"
REPORT = "report.json"
TARGET = "target.json"


def said_of(findings: Sequence[Finding]) -> tuple[Said, ...]:
    """The findings as they are judged, the worst first."""
    return tuple(
        Said(
            cause=item.cause.value,
            place=item.component,
            edge=item.edge,
            instance=item.instance,
            priority=item.priority.value,
            title=item.title,
            remedy=item.remedy,
        )
        for item in findings
    )


class Records:
    """A folder of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self) -> list[Record]:
        """All so far, the newest of a draw; a line that is not whole (a run that was killed) is left out."""
        path = self.folder / LINES
        found: dict[str, Record] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                record = Record.model_validate_json(line)
            except ValueError:
                continue
            found[record.draw.id] = record
        return list(found.values())

    def keep(self, record: Record, report: Report | None = None, target: Target | None = None) -> None:
        """Add one."""
        if report is not None and target is not None:
            place = self.folder / record.draw.id.replace("/", "_")
            place.mkdir(exist_ok=True)
            (place / REPORT).write_text(report.model_dump_json(), encoding="utf-8")
            (place / TARGET).write_text(target.model_dump_json(), encoding="utf-8")
        with (self.folder / LINES).open("a", encoding="utf-8") as lines:
            lines.write(record.model_dump_json() + "\n")

    def again(self, record: Record, draw: Draw | None = None) -> Record:
        """Diagnose the kept rows again, and judge what is said now.

        Raises OSError, ValueError where nothing usable is kept."""
        place = self.folder / record.draw.id.replace("/", "_")
        values = json.loads((place / REPORT).read_text(encoding="utf-8"))
        rows = Report.model_validate(values).results
        target = Target.model_validate_json((place / TARGET).read_text(encoding="utf-8"))
        said = said_of(diagnose(rows, target))
        wanted = draw or record.draw
        outcome = judge(wanted, said, effective=record.effective)
        verdict = verdict_of(rows, target).verdict.value
        return record.model_copy(
            update={"draw": wanted, "said": said, "outcome": outcome, "verdict": verdict, "error": ""}
        )
