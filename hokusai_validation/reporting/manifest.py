"""What makes a report's chain verifiable: a SHA-256 for each file, and for the manifest before; a signature
over the manifest, where there is a key; and, kept elsewhere, the hash of each run's manifest."""

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ConfigDict, SecretStr

from hokusai_validation.errors import SecretUnusable
from hokusai_validation.report import Report, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from upath import UPath

NAME = "manifest.json"
SIGNATURE = "manifest.sig"
LATEST = "latest"
KEY_VARIABLE = "HOKUSAI_SIGNING_KEY"
KEY_LENGTH = 16  # characters at least
_PIECE_BYTES = 1 << 20


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

    folder: "UPath | Path"
    manifest: Manifest | None
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Anchors:
    """What is on record elsewhere: the SHA-256 of the manifest of each run (`hashes`), and the run whose
    report was written last."""

    hashes: Mapping[str, str]
    newest: str | None = None


def signing_key() -> SecretStr | None:
    """The key of HOKUSAI_SIGNING_KEY.

    Raises SecretUnusable where it is too short to be one."""
    text = os.environ.get(KEY_VARIABLE)
    if not text:
        return None
    if len(text) < KEY_LENGTH:
        raise SecretUnusable(f"{KEY_VARIABLE} has fewer than {KEY_LENGTH} characters; make a longer one.")
    return SecretStr(text)


def sha256(path: "UPath | Path") -> str:
    """Of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def write(folder: "Path", report: Report, *, previous: bytes | None, key: SecretStr | None = None) -> None:
    """Write `manifest.json` over every other file in the folder, and its signature where there is a
    key. `previous` is the manifest of the report before."""
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
            if path.is_file() and path.name not in (NAME, SIGNATURE)
        },
    )
    text = content.model_dump_json(indent=2) + "\n"
    if key is not None:
        (folder / SIGNATURE).write_text(_signature(text.encode(), key) + "\n", encoding="utf-8")
    (folder / NAME).write_text(text, encoding="utf-8")


def chain(
    reports: "UPath | Path", *, anchors: Anchors | None = None, key: SecretStr | None = None
) -> tuple[Link, ...]:
    """Every report of a target (`reports/TARGET`), newest first along the chain, then those that no
    chain reaches; each file and each link between two manifests checked, and each manifest against what
    is on record elsewhere and against its signature, where these are given."""
    folders = {path.name: path for path in reports.iterdir() if _holds_a_report(path)}
    links: list[Link] = []
    head = _read(reports / LATEST / NAME)
    name: str | None = None if head is None else head.run_id
    expected: str | None = None
    seen: set[str] = set()
    while name is not None and name not in seen:
        seen.add(name)
        if name not in folders:
            links.append(Link(reports / name, None, (f"report {name} is missing",)))
            break
        link = verify(folders[name], expected=expected, anchors=anchors, key=key)
        links.append(link)
        if link.manifest is None:
            break
        name, expected = link.manifest.previous_run_id, link.manifest.previous
    for other in sorted(set(folders) - seen):
        link = verify(folders[other], anchors=anchors, key=key)
        links.append(Link(link.folder, link.manifest, ("not in the chain of `latest`", *link.problems)))
    return _against_the_newest(reports, links, anchors)


def verify(
    folder: "UPath | Path",
    *,
    expected: str | None = None,
    anchors: Anchors | None = None,
    key: SecretStr | None = None,
) -> Link:
    """One report: its manifest against its files, against the hash that its successor recorded, and
    against what is on record elsewhere."""
    path = folder / NAME
    content = _read(path)
    if content is None:
        return Link(folder, None, (f"{NAME} is missing or unreadable",))
    problems = []
    own = sha256(path)
    if expected is not None and own != expected:
        problems.append(f"{NAME} is not the one that the next report recorded")
    if anchors is not None and anchors.hashes.get(content.run_id, own) != own:
        problems.append(f"{NAME} is not the one that Dagster has on record")
    if key is not None and not _signed(folder, path.read_bytes(), key):
        problems.append(f"{NAME} is not signed with the key of {KEY_VARIABLE}")
    for name, digest in content.files.items():
        file = folder / name
        if not file.is_file():
            problems.append(f"{name} is missing")
        elif sha256(file) != digest:
            problems.append(f"{name} was changed")
    root = folder.as_posix().rstrip("/") + "/"
    present = {each.as_posix().removeprefix(root) for each in folder.rglob("*") if each.is_file()}
    problems += [f"{name} was added" for name in sorted(present - set(content.files) - {NAME, SIGNATURE})]
    return Link(folder, content, tuple(problems))


def _holds_a_report(path: "UPath | Path") -> bool:
    if path.name == LATEST or path.name.startswith("."):
        return False
    return path.is_dir() and not path.is_symlink()


def _against_the_newest(
    reports: "UPath | Path", links: list[Link], anchors: Anchors | None
) -> tuple[Link, ...]:
    """Whether the chain begins with the report that was written last."""
    if anchors is None or anchors.newest is None:
        return tuple(links)
    head = links[0].folder.name if links and "not in the chain of `latest`" not in links[0].problems else None
    if head == anchors.newest:
        return tuple(links)
    said = f"`latest` leads to {head or 'nothing'}, but the report of {anchors.newest} was written last"
    if not links:
        return (Link(reports / anchors.newest, None, (said,)),)
    return (Link(links[0].folder, links[0].manifest, (said, *links[0].problems)), *links[1:])


def _signature(content: bytes, key: SecretStr) -> str:
    return hmac.new(key.get_secret_value().encode(), content, hashlib.sha256).hexdigest()


def _signed(folder: "UPath | Path", content: bytes, key: SecretStr) -> bool:
    try:
        kept = (folder / SIGNATURE).read_bytes().decode("ascii", "replace").strip()
    except OSError:
        return False
    return hmac.compare_digest(kept.encode(), _signature(content, key).encode())


def _read(path: "UPath | Path") -> Manifest | None:
    try:
        return _parse(path.read_bytes())
    except OSError:
        return None


def _parse(content: bytes) -> Manifest | None:
    try:
        return Manifest.model_validate(json.loads(content))
    except (ValueError, RecursionError):
        return None
