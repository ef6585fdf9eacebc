"""The folder of a report: written beside its place, then moved there whole."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hokusai_validation.errors import ReportNotWritten
from hokusai_validation.report import Report
from hokusai_validation.reporting import (
    emf,
    html_report,
    json_report,
    junit,
    manifest,
    markdown_pages,
    openmetrics,
    table,
)
from hokusai_validation.store import scratch
from hokusai_validation.store.storage import base_path, is_local

if TYPE_CHECKING:
    from upath import UPath

# name in the folder -> what makes its bytes
DOCUMENTS: Mapping[str, Callable[[Report], bytes]] = {
    "report.json": json_report.render,
    "report.html": html_report.render,
    "health_report.md": markdown_pages.health_report,
    "working_services.md": markdown_pages.working_services,
    "failing_services.md": markdown_pages.failing_services,
    "handoff.md": markdown_pages.handoff,
    "junit.xml": junit.render,
    "summary.md": markdown_pages.summary,
    "metrics.prom": openmetrics.render,
    "metrics.emf.jsonl": emf.render,
    "test_results.csv": table.render_csv,
    "test_results.parquet": table.render_parquet,
}

WORK = ".work-"  # a report that is being written


def write(
    report: Report,
    base: "UPath | Path",
    *,
    run_output: str = "",
    attachments: Mapping[str, Path] | None = None,
) -> str:
    """Write every document of a report to `base/TARGET/RUN/` and point `base/TARGET/latest` at it (on
    S3, where nothing can point, `latest/` holds copies).

    `attachments` are files or folders to copy in, by name (Data Docs, journals). What is given here was
    masked where it was made. Returns where the folder is.

    Raises ReportNotWritten; nothing half-written stays behind."""
    parent = base_path(str(base), dict(getattr(base, "storage_options", {}))) / report.target
    final = parent / report.run_id
    local = is_local(parent)
    try:
        if local:
            parent.mkdir(parents=True, exist_ok=True)
        # Beside its place where that is local, so that moving it there is one step.
        with scratch.folder(WORK, Path(str(parent)) if local else None) as work:
            work.chmod(0o755)
            _fill(work, report, run_output, attachments or {}, parent)
            if local:
                _move(work, Path(str(final)))
            else:
                for place in (final, parent / "latest"):
                    _upload(work, place)
    except OSError as error:
        raise ReportNotWritten(
            f"The report could not be written to {final}: {error.strerror or error}."
            " Free some space or correct the folder's permissions, then materialize `report` again."
        ) from None
    return str(final)


def _fill(
    work: Path,
    report: Report,
    run_output: str,
    attachments: Mapping[str, Path],
    parent: "UPath",
) -> None:
    for name, render in DOCUMENTS.items():
        (work / name).write_bytes(render(report))
    (work / "run_output.log").write_text(run_output, encoding="utf-8")
    for name, source in attachments.items():
        if source.is_dir():
            shutil.copytree(source, work / name)
        else:
            shutil.copyfile(source, work / name)
    latest = parent / "latest" / manifest.NAME
    previous = latest.read_bytes() if latest.exists() else None
    manifest.write(work, report, previous=previous, key=manifest.signing_key())


def _move(work: Path, final: Path) -> None:
    if final.exists():
        shutil.rmtree(final)
    work.rename(final)
    # Replaced in one step, so that `latest` always names a whole report.
    fresh = final.parent / f".latest-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(final.name)
    latest = final.parent / manifest.LATEST
    if latest.is_dir() and not latest.is_symlink():  # copied from a bucket, say: kept, out of the way
        latest.rename(final.parent / f".{manifest.LATEST}-before-{final.name}")
    fresh.replace(latest)


def _upload(work: Path, place: "UPath") -> None:
    """The manifest goes last: a folder without one is not a report."""
    files = sorted(path for path in work.rglob("*") if path.is_file())
    for path in sorted(files, key=lambda item: item.name == manifest.NAME):
        (place / path.relative_to(work).as_posix()).write_bytes(path.read_bytes())
