"""`hokusai-validation init`: a folder to begin in, from an installed package alone."""

from importlib import resources
from pathlib import Path

import click

from hokusai_validation.errors import UsageError

# name in the folder -> template in the package
FILES = {
    "targets/sandbox.toml": "sandbox.toml",
    "targets/staging.toml": "staging.toml",
    "workspace.yaml": "workspace.yaml",
    ".dagster/dagster.yaml": "dagster.yaml",
    ".gitignore": "gitignore",
    "README.md": "README.md",
}


@click.command()
@click.argument("directory", default=".", type=click.Path(file_okay=False, path_type=Path))
def init(directory: Path) -> int:
    """Make DIRECTORY a place to validate from: target files, Dagster's workspace and instance, a
    README. Nothing that is there is written over."""
    present = [name for name in FILES if (directory / name).exists()]
    if present:
        raise UsageError(
            f"{directory} holds {', '.join(present)} already, and nothing is written over:"
            " choose another folder, or move them away."
        )
    templates = resources.files("hokusai_validation.cli").joinpath("templates")
    try:
        for name, template in FILES.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(templates.joinpath(template).read_text("utf-8"), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{directory} can't be written: {error.strerror or error}.") from None
    for name in FILES:
        click.echo(f"made {directory / name}")
    click.echo(f"next: cd {directory}, edit targets/staging.toml, hokusai-validation run staging")
    return 0
