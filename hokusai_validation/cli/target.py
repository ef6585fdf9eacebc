"""`hokusai-validation target`: write a target file from an account, and say what a file would have run."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hokusai_validation.cli.completion import targets
from hokusai_validation.errors import TargetInvalid, UsageError
from hokusai_validation.result import Phase
from hokusai_validation.target import NAME_PATTERN, Target, read_target

if TYPE_CHECKING:
    from hokusai_validation.resources.aws.client import Aws


@click.group()
def target() -> None:
    """Target files."""


@target.command()
@click.argument("file", shell_complete=targets)
@click.option(
    "--all", "show_all", is_flag=True, help="Name the tests that would run, and the edges of the stack, too."
)
def check(file: str, show_all: bool) -> int:
    """What FILE (or a target's name) would have run, what would be skipped and why. No request is sent."""
    from hokusai_validation.catalogue import phase_entries
    from hokusai_validation.catalogue.needs import missing
    from hokusai_validation.diagnosis.waivers import refusals

    read = read_target(file)
    refused = refusals(read, datetime.now(UTC).date())
    if refused:
        raise TargetInvalid(f"Target '{read.name}': {'; '.join(refused)}.")
    click.echo(f"{read.name}: the file is usable.")
    runs = skips = 0
    for phase in Phase:
        entries = phase_entries(phase, read)
        reasons: dict[str, list[str]] = {}
        ran = []
        for entry in entries:
            reason = missing(entry, read)
            if reason is None:
                ran.append(entry.id)
            else:
                reasons.setdefault(reason, []).append(entry.id)
        runs += len(ran)
        skips += len(entries) - len(ran)
        click.echo(f"{phase.value}: {len(ran)} of {len(entries)} tests would run")
        if show_all and ran:
            click.echo(f"  would run: {' '.join(ran)}")
        for reason, ids in reasons.items():
            click.echo(f"  skipped, {reason}: {' '.join(ids)}")
    if show_all:
        for name, part in read.topology.items():
            if part.depends_on:
                click.echo(f"edges: {name} -> {', '.join(part.depends_on)}")
    click.echo(f"{runs} tests would run, {skips} would be skipped.")
    return 0


@target.command()
@click.option("--cluster", required=True, help="ECS cluster to read around.")
@click.option("--name", help="Name of the target; by default the cluster's.")
@click.option("--region", default="us-east-1", show_default=True)
@click.option("--profile", help="Profile of boto3's configuration.")
@click.option("--role-arn", help="Role to take in the target's account.")
@click.option("--endpoint-url", help="Address of a stand-in for AWS.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; by default targets/NAME.toml.",
)
def discover(
    cluster: str,
    name: str | None,
    region: str,
    profile: str | None,
    role_arn: str | None,
    endpoint_url: str | None,
    output: Path | None,
) -> int:
    """Read an account around an ECS cluster (read-only) and write a target file. What can't be known
    stands there as a comment."""
    from upath import UPath

    from hokusai_validation.cli import target_text
    from hokusai_validation.resources.aws.account import read
    from hokusai_validation.store.storage import write_whole

    chosen = name or _name(cluster)
    path = output or Path("targets") / f"{chosen}.toml"
    if path.exists():
        raise UsageError(f"{path} is there already, and nothing is written over: give another --output.")
    options = {"profile": profile, "role_arn": role_arn, "endpoint_url": endpoint_url}
    login = [(key, value) for key, value in options.items() if value is not None]
    aws = _connected(cluster, region, dict(login))
    try:
        found = read(aws)
    finally:
        aws.close()
    write_whole(UPath(path), target_text.text(chosen, region, found, login=login).encode())
    read_target(str(path))
    click.echo(f"Wrote {path}: {len(found.services)} services of cluster {cluster}.")
    for reason in found.unread:
        click.echo(f"not read: {reason}", err=True)
    click.echo(f"Next: correct what is commented, then hokusai-validation target check {path}")
    return 0


def _connected(cluster: str, region: str, login: dict[str, str]) -> "Aws":
    from hokusai_validation.resources.aws.client import Aws
    from hokusai_validation.resources.secrets import Secrets

    made = Target.model_validate(
        {"name": "discovered", "aws": {"cluster": cluster, "region": region, **login}}
    )
    return Aws.from_target(made, Secrets(made))


def _name(cluster: str) -> str:
    """A name for a target, of a cluster's."""
    import re

    made = re.sub(r"[^a-z0-9_-]+", "-", cluster.lower()).strip("-")[:40]
    if not re.match(NAME_PATTERN, made):
        raise UsageError(f"No target's name can be made of cluster '{cluster}': give --name.")
    return made
