"""`hokusai-validation confirm`: a person lets one run do to a production target what its file permits."""

import getpass
import re
import socket
from datetime import UTC, datetime

import click

from hokusai_validation.cli.completion import targets
from hokusai_validation.errors import UsageError
from hokusai_validation.permission import Confirmation, Gate
from hokusai_validation.target import Target, read_target

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,79}")


@click.command("confirm")
@click.argument("target", shell_complete=targets)
@click.argument("run_id")
def command(target: str, run_id: str) -> None:
    """Let the run RUN_ID of production TARGET do what its file permits: load and faults. To be given
    before the run's load phase begins; the run's page in Dagster shows its id."""
    chosen = read_target(target)
    if not chosen.production:
        raise UsageError(f"Target '{chosen.name}' is no production target: there is nothing to confirm.")
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(f"{run_id!r} is no run's id: copy it from the run's page in Dagster.")
    confirm(chosen.name, run_id)
    click.echo(f"Run {run_id} of '{chosen.name}' is confirmed: it may do what the file permits.")


def confirm(target: str, run_id: str) -> Confirmation:
    """Note that whoever types this confirms a run.

    Raises ReportNotWritten."""
    from hokusai_validation.store.results import ResultStore
    from hokusai_validation.store.storage import default_base, default_options

    made = _confirmation(target, run_id)
    ResultStore(default_base(), default_options()).confirm(made)
    return made


def gate(target: Target, named: str | None) -> Gate:
    """The gate of what a command does by itself; `named` is what was typed after `--confirm`."""
    given = _confirmation(target.name, "") if named == target.name else None
    return Gate.of(target, "", confirmation=given)


def _confirmation(target: str, run_id: str) -> Confirmation:
    by = f"{getpass.getuser()}@{socket.gethostname()}"
    return Confirmation(target=target, run_id=run_id, by=by, at=datetime.now(UTC))
