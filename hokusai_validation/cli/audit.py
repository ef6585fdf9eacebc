"""`hokusai-validation audit`: the chain of a target's reports, each file and link verified."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from hokusai_validation.cli.completion import targets
from hokusai_validation.errors import UsageError
from hokusai_validation.reporting import manifest
from hokusai_validation.reporting.escape import terminal
from hokusai_validation.target import read_target


@click.command()
@click.argument("target", default="sandbox", shell_complete=targets)
@click.option("--results", default="results", type=click.Path(path_type=Path), help="The folder of results.")
def audit(target: str, results: Path) -> int:
    """Verify the chain of TARGET's reports, newest first.

    Exit status 0 when every file is as it was written and every report names the one before it,
    1 when something was changed or is missing."""
    name = read_target(target, follow_include=False).name
    reports = results / "reports" / name
    if not reports.is_dir():
        raise UsageError(f"There are no reports of target '{name}' under {reports}: run it first.")
    links = manifest.chain(reports)
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
    return 1 if bad else 0
