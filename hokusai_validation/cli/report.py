"""`hokusai-validation report`: a report that was made, opened or named."""

import webbrowser
from pathlib import Path

import click

from hokusai_validation.cli.completion import targets
from hokusai_validation.errors import UsageError
from hokusai_validation.resources.injected import ResultsResource
from hokusai_validation.store.storage import is_local
from hokusai_validation.target import read_target


@click.group()
def report() -> None:
    """The documents of a run."""


@report.command("open")
@click.argument("target", default="sandbox", shell_complete=targets)
@click.argument("run", default="latest")
@click.option("--print", "only_print", is_flag=True, help="Print where it lies; open nothing.")
def open_report(target: str, run: str, only_print: bool) -> int:
    """Open TARGET's newest report (or that of RUN) in the browser."""
    name = read_target(target, follow_include=False).name
    path = ResultsResource().store().reports / name / run / "report.html"
    if not path.exists():
        raise UsageError(
            f"There is no report {path}. `hokusai-validation history {name}` lists the runs;"
            f" `hokusai-validation run {name}` makes one."
        )
    click.echo(str(path))
    if not only_print and is_local(path):
        webbrowser.open(Path(str(path)).resolve().as_uri())
    return 0
