"""`hokusai-validation links`: the link program, for any stack."""

from pathlib import Path

import click

from hokusai_validation.links.__main__ import DEFAULT_API
from hokusai_validation.links.config import read_config
from hokusai_validation.links.program import run


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Links, as a JSON list (Toxiproxy's form; deploy/examples has an example and its schema).",
)
@click.option("--api", default=DEFAULT_API, show_default=True, help="Where the API listens (HOST:PORT).")
def links(config: Path | None, api: str) -> None:
    """TCP links that faults can be put on, driven through Toxiproxy's HTTP API, until Ctrl-C."""
    configs = read_config(config) if config else ()
    run(configs, api, ready=lambda address: click.echo(f"links: API on http://{address}"))
