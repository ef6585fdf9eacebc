"""`hokusai-validation chaos`: what would be done to a target, doing it, and ending it."""

import uuid

import click

from hokusai_validation.cli import confirming
from hokusai_validation.cli.completion import targets
from hokusai_validation.errors import UsageError
from hokusai_validation.permission import Gate
from hokusai_validation.target import Target, read_target


@click.group()
def chaos() -> None:
    """Experiments with real faults on a target that permits them."""


@chaos.command("list")
@click.argument("target", default="sandbox", shell_complete=targets)
def list_(target: str) -> None:
    """The experiments of the catalogue, and whether TARGET permits each."""
    from hokusai_validation.catalogue import entries, needs
    from hokusai_validation.result import Category

    chosen = read_target(target)
    for entry in entries(Category.CHAOS):
        reason = needs.missing(entry, chosen)
        click.echo(f"{entry.id:<4} {entry.test}")
        click.echo(f"     {entry.says}")
        click.echo(f"     {'permitted' if reason is None else f'skipped: {reason}'}")


@chaos.command()
@click.argument("target", default="sandbox", shell_complete=targets)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.option("--confirm", metavar="NAME", help="Production: name the target once more.")
def run(target: str, dry_run: bool, confirm: str | None) -> int:
    """Run every experiment that TARGET permits, without the other phases.

    Exit status as `hokusai-validation run`; a fault that could not be undone: 3."""
    chosen = read_target(target)
    if dry_run:
        _show_plan(chosen, confirming.gate(chosen, confirm))
        return 0
    from hokusai_validation import run_test_suite
    from hokusai_validation.result import Category
    from hokusai_validation.runner.selection import Selection
    from hokusai_validation.store.lock import target_lock

    if chosen.production and confirm != chosen.name:
        raise UsageError(f"Target '{chosen.name}' is production: add --confirm {chosen.name}, or --dry-run.")
    run_id = f"local-{uuid.uuid4()}"
    if chosen.production:
        confirming.confirm(chosen.name, run_id)
    with target_lock(chosen, what="chaos run"):
        return run_test_suite.run(target, Selection((Category.CHAOS,), (), False), run_id=run_id)


@chaos.command()
@click.argument("target", default="sandbox", shell_complete=targets)
def stop(target: str) -> None:
    """End the experiment that runs on TARGET and take every fault off. May be called as often as
    one likes, from anywhere."""
    from hokusai_validation.chaos.stop import stop as end_all
    from hokusai_validation.resources.secrets import Secrets

    chosen = read_target(target)
    done = end_all(chosen, Secrets(chosen))
    for sentence in done:
        click.echo(sentence)
    click.echo(f"No fault is on target '{chosen.name}'.")


def _show_plan(target: Target, gate: Gate) -> None:
    from hokusai_validation.catalogue import entries, needs
    from hokusai_validation.chaos.lease import LEASE_S
    from hokusai_validation.chaos.permission import plan
    from hokusai_validation.chaos.plans import faults_of
    from hokusai_validation.result import Category

    for entry in entries(Category.CHAOS):
        click.echo(f"{entry.id} {entry.test}: {entry.says}")
        reason = needs.missing(entry, target)
        if reason is not None:
            click.echo(f"  skipped: {reason}")
            continue
        faults = faults_of(entry.id, target)
        for line in plan(faults, gate) or ("no fault",):
            click.echo(f"  {line}")
    click.echo(
        f"Each fault is leased for {LEASE_S:g} s and renewed; an experiment ends at once under"
        f" {target.permissions.min_availability:.0%} availability. Nothing was done."
    )
