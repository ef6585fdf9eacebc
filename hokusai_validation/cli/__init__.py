"""What a person types: one command, its sub-commands loaded when they are called."""

import atexit
import gc
import importlib
import os
import sys
from collections.abc import Mapping

import click

from hokusai_validation import __version__
from hokusai_validation.errors import FaultOrphaned, HokusaiError
from hokusai_validation.redaction import shown

OURS = 3  # 1 is for a verdict alone

# name -> module.attribute; the module is imported only when its command is called or listed.
COMMANDS: Mapping[str, str] = {
    "run": "hokusai_validation.cli.run:run",
    "ui": "hokusai_validation.cli.ui:ui",
    "sandbox": "hokusai_validation.cli.sandbox:sandbox",
    "links": "hokusai_validation.cli.links:links",
    "chaos": "hokusai_validation.cli.chaos:chaos",
    "load": "hokusai_validation.cli.load:load",
    "confirm": "hokusai_validation.cli.confirming:command",
    "compare": "hokusai_validation.cli.history:compare",
    "history": "hokusai_validation.cli.history:history",
    "audit": "hokusai_validation.cli.audit:audit",
    "report": "hokusai_validation.cli.report:report",
    "explain": "hokusai_validation.cli.explain:explain",
    "init": "hokusai_validation.cli.init:init",
    "target": "hokusai_validation.cli.target:target",
    "completion": "hokusai_validation.cli.completion:completion",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when needed: `--help` of one stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hokusai-validation")
@click.option("--trace", is_flag=True, help="Show the Python trace of an error.")
@click.pass_context
def cli(ctx: click.Context, trace: bool) -> None:
    """Whether a deployed service stack really works, why not, and being believed."""
    from hokusai_validation.store import target_files

    ctx.obj = {"trace": trace}
    target_files.fetch()


def our_trouble(error: Exception) -> str:
    """One sentence about what nobody foresaw: it is no verdict on the target."""
    if isinstance(error, OSError):
        place = f" {error.filename}:" if error.filename else ""
        said = f"{place} {error.strerror or error}".strip()
        return f"{shown(said, 300)}; nothing was judged. Put it right, then run again."
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return (
        f"This went wrong in the validation itself, and nothing was judged: {shown(said, 300)}."
        " `hokusai-validation --trace …` shows where."
    )


def main() -> None:
    """Run the command line. Exit status: 0 good, 1 unhealthy, 2 wrong usage or an unusable target
    file, 3 could not be judged."""
    trace = "--trace" in sys.argv
    atexit.register(gc.freeze)  # no last collection of all that was imported
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except HokusaiError as error:
        if trace:
            raise
        click.echo(f"error: {error}", err=True)
        if isinstance(error, FaultOrphaned):
            click.echo(f"undo it by hand: {error.command}", err=True)
        sys.exit(error.exit_status)
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(OURS)
    except Exception as error:
        if trace:
            raise
        click.echo(f"error: {our_trouble(error)}", err=True)
        sys.exit(OURS)
    sys.exit(status if isinstance(status, int) else 0)
