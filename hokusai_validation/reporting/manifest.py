"""What makes a report's chain verifiable: a SHA-256 for each file, and for the manifest before."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict

from hokusai_validation.report import Report, Verdict

NAME = "manifest.json"


class Manifest(BaseModel):
    """`files` maps a path in the folder to its SHA-256; `previous` is the SHA-256 of the
    manifest that `latest` pointed at when this one was written (None: the first)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    run_id: str
    target: str
    verdict: Verdict
    finished_at: AwareDatetime
    previous_run_id: str | None = None
    previous: str | None = None
    files: dict[str, str]


@dataclass(frozen=True)
class Link:
    """One report of a chain, and what is wrong with it (empty: nothing)."""

    folder: Path
    manifest: Manifest | None
    problems: tuple[str, ...]


def sha256(path: Path) -> str:
    """Of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(folder: Path, report: Report, *, previous: bytes | None) -> None:
    """Write `manifest.json` over every other file in the folder. `previous` is the manifest of the
    report before."""
    before = _parse(previous) if previous is not None else None
    same_run = before is not None and before.run_id == report.run_id
    content = Manifest(
        run_id=report.run_id,
        target=report.target,
        verdict=report.verdict,
        finished_at=report.finished_at,
        # A report written again for the same run takes the place of the first in the chain.
        previous_run_id=None if before is None else (before.previous_run_id if same_run else before.run_id),
        previous=None
        if before is None or previous is None
        else (before.previous if same_run else hashlib.sha256(previous).hexdigest()),
        files={
            path.relative_to(folder).as_posix(): sha256(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != NAME
        },
    )
    (folder / NAME).write_text(content.model_dump_json(indent=2) + "\n", encoding="utf-8")


def chain(reports: Path) -> tuple[Link, ...]:
    """Every report of a target (`reports/TARGET`), newest first along the chain, then those that no
    chain reaches; each file and each link between two manifests checked."""
    folders = {
        path.name: path
        for path in sorted(reports.iterdir())
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    }
    links: list[Link] = []
    latest = reports / "latest"
    name: str | None = latest.resolve().name if latest.exists() else None
    expected: str | None = None
    seen: set[str] = set()
    while name is not None and name not in seen:
        seen.add(name)
        if name not in folders:
            links.append(Link(reports / name, None, (f"report {name} is missing",)))
            break
        link = verify(folders[name], expected=expected)
        links.append(link)
        if link.manifest is None:
            break
        name, expected = link.manifest.previous_run_id, link.manifest.previous
    for other in sorted(set(folders) - seen):
        link = verify(folders[other])
        links.append(Link(link.folder, link.manifest, ("not in the chain of `latest`", *link.problems)))
    return tuple(links)


def verify(folder: Path, *, expected: str | None = None) -> Link:
    """One report: its manifest against its files, and against the hash that its successor recorded."""
    path = folder / NAME
    content = _read(path) if path.is_file() else None
    if content is None:
        return Link(folder, None, (f"{NAME} is missing or unreadable",))
    problems = []
    if expected is not None and sha256(path) != expected:
        problems.append(f"{NAME} is not the one that the next report recorded")
    for name, digest in content.files.items():
        file = folder / name
        if not file.is_file():
            problems.append(f"{name} is missing")
        elif sha256(file) != digest:
            problems.append(f"{name} was changed")
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    problems += [f"{name} was added" for name in sorted(present - set(content.files) - {NAME})]
    return Link(folder, content, tuple(problems))


def _read(path: Path) -> Manifest | None:
    try:
        return _parse(path.read_bytes())
    except OSError:
        return None


def _parse(content: bytes) -> Manifest | None:
    try:
        return Manifest.model_validate(json.loads(content))
    except ValueError:
        return None
