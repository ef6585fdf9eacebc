"""`hokusai-validation audit`: the chain of a target's reports, each file and link verified."""

import os
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from hokusai_validation.errors import UsageError
from hokusai_validation.reporting import manifest
from hokusai_validation.reporting.escape import terminal
from hokusai_validation.reporting.manifest import Anchors
from hokusai_validation.store.storage import base_path, default_base, default_options
from hokusai_validation.target import read_target


@click.command()
@click.argument("target", default="sandbox")
@click.option(
    "--results", metavar="PLACE", help="Where the results lie; by default HOKUSAI_RESULTS, else `results`."
)
@click.option("--no-dagster", is_flag=True, help="Don't compare with what Dagster has on record.")
def audit(target: str, results: str | None, no_dagster: bool) -> int:
    """Verify the chain of TARGET's reports, newest first.

    Exit status 0 when every file is as it was written, every report names the one before it, and the
    newest is the one that Dagster has on record; 1 when something was changed or is missing. With
    HOKUSAI_SIGNING_KEY, every manifest must be signed with it too."""
    name = read_target(target, follow_include=False).name
    reports = base_path(results or default_base(), default_options()) / "reports" / name
    if not reports.is_dir():
        raise UsageError(f"There are no reports of target '{name}' under {reports}: run it first.")
    key = manifest.signing_key()
    known = None if no_dagster else _on_record(name)
    links = manifest.chain(reports, anchors=known, key=key)
    table = Table(title=f"Reports of {name}, newest first")
    for column in ("run", "finished", "verdict", "files", "state"):
        table.add_column(column)
    for link in links:
        content = link.manifest
        table.add_row(
            terminal(link.folder.name),
            f"{content.finished_at:%Y-%m-%d %H:%M:%S %Z}" if content else "",
            content.verdict.value if content else "",
            str(len(content.files)) if content else "",
            terminal("; ".join(link.problems)) if link.problems else "as written",
        )
    Console().print(table)
    bad = sum(bool(link.problems) for link in links)
    click.echo(f"{len(links)} reports, {bad} with something changed, missing or outside the chain.")
    compared = 0 if known is None else sum(link.folder.name in known.hashes for link in links)
    click.echo(
        f"{compared} of them compared with Dagster's record, {len(links) if key else 0} with a signature."
    )
    return 1 if bad else 0


def _on_record(target: str) -> Anchors | None:
    """None where no run of Dagster's was ever kept here."""
    if not Path(os.environ.get("DAGSTER_HOME") or ".dagster").is_dir():
        return None
    from hokusai_validation.assets.anchors import anchors
    from hokusai_validation.cli.execution import instance

    with instance() as opened:
        return anchors(opened, target)
