"""`hokusai-validation sandbox up | down | status`: the whole stack on this machine."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import click

from hokusai_sandbox.stack import Stack, default_directory

_DIRECTORY = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="The sandbox's folder; HOKUSAI_SANDBOX_DIR, else .sandbox.",
)


@click.group()
def sandbox() -> None:
    """A whole stack on this machine, to validate and to practise with."""


@sandbox.command()
@_DIRECTORY
@click.option("--scenario", help="Start it with a defect; several joined by +. `scenarios` lists them.")
@click.option("--foreground", is_flag=True, help="Stay, and end the sandbox with this command.")
@click.option(
    "--port", "ports", multiple=True, metavar="NAME=PORT", help="A fixed port, such as balancer-https=8443."
)
def up(directory: Path | None, scenario: str | None, foreground: bool, ports: tuple[str, ...]) -> None:
    """Start it; it stays up until `down`."""
    wanted = _ports(ports)
    stack = Stack.start(
        directory or default_directory(), scenario, detached=not foreground, ports=wanted, progress=_progress
    )
    status = stack.status()
    click.echo(f"The sandbox is up after {status['start_s']:.1f} s: {status['url']}")
    click.echo(f"Target file: {stack.target_file}")
    if foreground:
        click.echo("Ctrl-C ends it.")
        _until_told()
        stack.stop()


@sandbox.command()
@_DIRECTORY
def down(directory: Path | None) -> None:
    """End it, and everything that it started."""
    stack = Stack.running(directory or default_directory())
    if stack is None:
        click.echo(f"No sandbox is up in {directory or default_directory()}.")
        return
    stack.stop()
    click.echo("The sandbox is down.")


@sandbox.command()
@_DIRECTORY
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_context
def status(ctx: click.Context, directory: Path | None, as_json: bool) -> int:
    """Where everything is. Exit status 0 when it is up, 3 when not."""
    found = Stack(directory or default_directory()).status()
    if as_json:
        click.echo(json.dumps(found, indent=1))
    elif not found["up"]:
        click.echo(f"No sandbox is up in {directory or default_directory()}.")
    else:
        _print(found)
    return 0 if found["up"] else 3


@sandbox.command()
def scenarios() -> None:
    """List the defects that the sandbox can be started with."""
    from hokusai_sandbox.scenarios import names

    for name, item in sorted(names().items()):
        click.echo(f"{name:40} {item.summary}")


def _ports(values: tuple[str, ...]) -> dict[str, int]:
    wanted = {}
    for value in values:
        name, _, port = value.partition("=")
        from hokusai_sandbox.plan import PORT_NAMES

        if name not in PORT_NAMES or not port.isdigit() or not 0 < int(port) < 65536:
            raise click.BadParameter(f"{value!r}: give NAME=PORT with NAME one of {', '.join(PORT_NAMES)}.")
        wanted[name] = int(port)
    return wanted


def _progress(what: str) -> None:
    click.echo(f"  {what}", err=True)


def _print(found: dict[str, Any]) -> None:
    click.echo(f"url: {found['url']}   scenario: {found['scenario'] or 'none'}")
    for name, item in found["services"].items():
        memory = item.get("rss_bytes", 0) / 1e6
        click.echo(
            f"{name:10} {item.get('state', '?'):8} {item['address']:22}"
            f" pid {item['pid'] or '-'!s:8} {memory:6.0f} MB"
        )


def _until_told() -> None:
    ended: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: ended.append(got))
    while not ended:
        time.sleep(0.2)
