"""The folder of a report: written beside its place, then moved there whole."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hokusai_validation.errors import ReportNotWritten
from hokusai_validation.redaction import Redactor
from hokusai_validation.report import Report
from hokusai_validation.reporting import (
    failing_services,
    handoff,
    health_report,
    html_report,
    json_report,
    junit,
    manifest,
    table,
    working_services,
)

# name in the folder -> what makes its bytes
DOCUMENTS: Mapping[str, Callable[[Report], bytes]] = {
    "report.json": json_report.render,
    "report.html": html_report.render,
    "health_report.md": health_report.render,
    "working_services.md": working_services.render,
    "failing_services.md": failing_services.render,
    "handoff.md": handoff.render,
    "junit.xml": junit.render,
    "test_results.csv": table.render_csv,
    "test_results.parquet": table.render_parquet,
}


def write(
    report: Report,
    base: Path,
    *,
    redactor: Redactor,
    run_output: str = "",
    attachments: Mapping[str, Path] | None = None,
) -> Path:
    """Write every document of a report to `base/TARGET/RUN/` and point `base/TARGET/latest` at it.

    `attachments` are files or folders to copy in, by name (Data Docs, journals). Everything passes
    the redactor first. Returns the folder.

    Raises ReportNotWritten; nothing half-written stays behind."""
    report = redactor.model(report)
    parent = base / report.target
    final = parent / report.run_id
    try:
        parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{report.run_id}-", dir=parent))
    except OSError as error:
        raise _not_written(final, error) from None
    try:
        work.chmod(0o755)
        for name, render in DOCUMENTS.items():
            (work / name).write_bytes(render(report))
        (work / "run_output.log").write_text(redactor.text(run_output), encoding="utf-8")
        for name, source in (attachments or {}).items():
            _copy(source, work / name)
        manifest.write(work, report, previous=_latest_manifest(parent))
        if final.exists():
            shutil.rmtree(final)
        work.rename(final)
        _point_latest(parent, final)
    except OSError as error:
        raise _not_written(final, error) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return final


def _copy(source: Path, place: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, place)
    elif source.exists():
        shutil.copyfile(source, place)


def _latest_manifest(parent: Path) -> Path | None:
    path = parent / "latest" / manifest.NAME
    return path if path.is_file() else None


def _point_latest(parent: Path, final: Path) -> None:
    """Replace the link in one step, so that `latest` always names a whole report."""
    fresh = parent / f".latest-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(final.name)
    fresh.replace(parent / "latest")


def _not_written(final: Path, error: OSError) -> ReportNotWritten:
    return ReportNotWritten(
        f"The report could not be written to {final}: {error.strerror or error}."
        " Free some space or correct the folder's permissions, then materialize `report` again."
    )
