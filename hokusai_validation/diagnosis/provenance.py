"""What was deployed when the rows were seen, and whether it changed meanwhile."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pydantic import ValidationError

from hokusai_validation import __version__
from hokusai_validation.report import Deployment, PhaseSource, Provenance
from hokusai_validation.result import Result
from hokusai_validation.target import Target

DEPLOYMENT = "deployment"
VERSIONS = "versions"


def provenance(
    rows: Sequence[Result],
    sources: Iterable[PhaseSource],
    target: Target,
    at_end: Sequence[Deployment] = (),
) -> Provenance:
    """Deployments (as first seen), what differed later, versions of the software taking part, and
    the phases' sources. Rows carry `evidence["deployment"]` (one `Deployment` as JSON, or a list)
    and `evidence["versions"]` (a mapping name → version); `at_end` is what was seen after them."""
    seen = _deployments(rows)
    for deployment in at_end:
        seen.setdefault(deployment.component, []).append(deployment)
    versions: dict[str, str] = {}
    for row in rows:
        given = row.evidence.get(VERSIONS)
        if isinstance(given, Mapping):
            versions.update({str(name): str(version) for name, version in given.items()})
    return Provenance(
        deployments=tuple(items[0] for items in seen.values()),
        changed_during_run=tuple(
            f"{component}: {change}" for component, items in seen.items() for change in _changes(items)
        ),
        phases=tuple(sources),
        expected_commit=target.expected_commit,
        package_version=__version__,
        versions=dict(sorted(versions.items())),
    )


def newest_deployment(rows: Iterable[Result], at_end: Sequence[Deployment] = ()) -> datetime | None:
    """When the youngest of all deployments that the rows saw, or that were seen after them, was made."""
    times = (
        deployment.deployed_at
        for items in (*_deployments(rows).values(), at_end)
        for deployment in items
        if deployment.deployed_at is not None
    )
    return max(times, default=None)


def _deployments(rows: Iterable[Result]) -> dict[str, list[Deployment]]:
    """By component, in the order of time."""
    found: dict[str, list[Deployment]] = {}
    for row in sorted(rows, key=lambda row: row.started_at):
        entries = row.evidence.get(DEPLOYMENT)
        if isinstance(entries, dict):
            entries = [entries]
        for entry in entries if isinstance(entries, list) else ():
            try:
                deployment = Deployment.model_validate(entry)
            except ValidationError:
                continue
            found.setdefault(deployment.component, []).append(deployment)
    return dict(sorted(found.items()))


def _changes(items: Sequence[Deployment]) -> list[str]:
    first, last = items[0], items[-1]
    changes = []
    for field in ("task_definition", "image", "image_digest", "commit"):
        before, after = getattr(first, field), getattr(last, field)
        if before is not None and after is not None and before != after:
            changes.append(f"{field.replace('_', ' ')} {before} → {after}")
    for name, version in first.secret_versions.items():
        if last.secret_versions.get(name, version) != version:
            changes.append(f"secret {name} was changed")
    return changes
