"""`hokusai-validation completion`: what a shell needs to complete commands, options and targets."""

import click
from click.shell_completion import CompletionItem, get_completion_class

from hokusai_validation.target import targets_dir

PROGRAM = "hokusai-validation"
VARIABLE = "_HOKUSAI_VALIDATION_COMPLETE"  # as click makes it of the program's name


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print the completion of SHELL, to be read by it: eval "$(hokusai-validation completion bash)"."""
    made = get_completion_class(shell)
    if made is None:  # a click without it
        raise click.UsageError(f"There is no completion for {shell}.")
    click.echo(made(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())
    return 0


def targets(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of the target files, for a shell."""
    names = sorted(path.stem for path in targets_dir().glob("*.toml"))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
