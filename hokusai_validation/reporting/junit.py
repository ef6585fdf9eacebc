"""`junit.xml`: what CI systems read. failed → failure, broken → error, skipped → skipped."""

from xml.etree import ElementTree as ET

from hokusai_validation.report import Report
from hokusai_validation.reporting.escape import xml
from hokusai_validation.reporting.views import accepted
from hokusai_validation.result import Phase, Result, Status, final_attempts

_TAG = {Status.FAILED: "failure", Status.BROKEN: "error", Status.SKIPPED: "skipped"}


def render(report: Report) -> bytes:
    """One test suite a phase, one case a test (its last attempt)."""
    results = final_attempts(report.results)
    root = ET.Element("testsuites", name=f"hokusai-validation {report.target}")
    for phase in Phase:
        rows = [row for row in results if row.phase is phase]
        if rows:
            root.append(_suite(phase, rows, report))
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def _suite(phase: Phase, rows: list[Result], report: Report) -> ET.Element:
    suite = ET.Element(
        "testsuite",
        name=phase.value,
        tests=str(len(rows)),
        failures=str(sum(row.status is Status.FAILED for row in rows)),
        errors=str(sum(row.status is Status.BROKEN for row in rows)),
        skipped=str(sum(row.status is Status.SKIPPED for row in rows)),
        time=f"{sum(row.duration_s for row in rows):.3f}",
        timestamp=min(row.started_at for row in rows).isoformat(),
        hostname=report.target,
    )
    for row in rows:
        cls, _, function = row.test.rpartition("::")
        case = ET.SubElement(
            suite,
            "testcase",
            classname=xml(f"{phase.value}.{cls}" if cls else phase.value),
            name=xml(function),
            time=f"{row.duration_s:.3f}",
        )
        tag = _TAG.get(row.status)
        if tag is not None:
            said = accepted(report, row.test)
            outcome = ET.SubElement(
                case, tag, message=xml(f"{row.message} ({said})" if said else row.message)
            )
            outcome.text = xml(row.detail) or None
    return suite
