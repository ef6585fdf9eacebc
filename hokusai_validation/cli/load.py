"""`hokusai-validation load`: the engine by itself, within what the target permits."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hokusai_validation.cli import confirming
from hokusai_validation.cli.completion import targets
from hokusai_validation.errors import UsageError
from hokusai_validation.target import Target, read_target

if TYPE_CHECKING:
    from hokusai_validation.load.plan import Closed, Open

DEFAULT_DURATION_S = 10.0


@click.command()
@click.argument("target", shell_complete=targets)
@click.argument("paths", metavar="PATH...", nargs=-1)
@click.option("--rate", type=float, help="Requests a second; what the target's file says unless given.")
@click.option(
    "--duration",
    "duration_s",
    type=float,
    metavar="SECONDS",
    help="How long, ramp-up apart; 10 unless given.",
)
@click.option(
    "--connections", type=int, help="Most requests in flight; 50, or what the target permits, unless given."
)
@click.option("--model", default="constant", show_default=True,
              help="constant, ramp (from 0 to the rate), spike (ten times the rate in the middle tenth),"
              " or closed (each connection asks when it has its answer).")  # fmt: skip
@click.option(
    "--weight", "weights", type=int, multiple=True, help="Share of each path in the mix, in their order."
)
@click.option("--deadline", "deadline_s", type=float, default=10.0, show_default=True, metavar="SECONDS",
              help="An answer after it counts as a time-out.")  # fmt: skip
@click.option(
    "--think", "think_s", type=float, default=0.0, help="Pause before each request of a closed run."
)
@click.option("--method", default="GET", show_default=True)
@click.option("--body", "body_file", type=click.Path(path_type=Path), help="A file to send as the body.")
@click.option("--content-type", default="application/json", show_default=True, help="Of the body.")
@click.option("--key", "with_key", is_flag=True, help="Send the target's good API key.")
@click.option("--instance", help="One instance by its name, instead of the load balancer.")
@click.option(
    "--processes", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that send."
)
@click.option("--confirm", metavar="NAME", help="Production: name the target once more.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on standard output, nothing else."
)
def load(
    target: str,
    paths: tuple[str, ...],
    rate: float | None,
    duration_s: float | None,
    connections: int | None,
    model: str,
    weights: tuple[int, ...],
    deadline_s: float,
    think_s: float,
    method: str,
    body_file: Path | None,
    content_type: str,
    with_key: bool,
    instance: str | None,
    processes: int,
    confirm: str | None,
    as_json: bool,
) -> int:
    """Put load on one or more paths of TARGET and say how long answers took, counted from when each
    request was due.

    Exit status: 0 measured, 1 stopped by the target's stop condition, 2 wrong usage or not
    permitted, 3 not judged: the generator itself could not keep up."""
    from hokusai_validation.load.engine import Engine
    from hokusai_validation.load.plan import Endpoint
    from hokusai_validation.load.site import Site
    from hokusai_validation.load.summary import document, lines
    from hokusai_validation.load.verdict import saturation
    from hokusai_validation.resources.names import Resolver
    from hokusai_validation.store.lock import target_lock

    if not paths:
        raise UsageError("There is no endpoint to ask: name at least one path, like /health.")
    if weights and len(weights) != len(paths):
        raise UsageError(f"{len(weights)} weights for {len(paths)} paths: give each path one, or none.")
    chosen = read_target(target)
    site = Site(confirming.gate(chosen, confirm), Resolver(chosen.dns.resolver))
    permission = site.permission
    if rate is None:
        rate = min(permission.rate, permission.max_rate)
    if duration_s is None:
        duration_s = min(permission.duration_s or DEFAULT_DURATION_S, permission.max_duration_s)
    headers = _headers(chosen, with_key, body_file, content_type)
    body = _body(body_file)
    endpoints = tuple(
        Endpoint(path, path, method.upper(), headers, body, weights[index] if weights else 1, deadline_s)
        for index, path in enumerate(paths)
    )
    plan = site.plan(
        endpoints,
        _model(model, rate, duration_s, think_s),
        url=_url(chosen, instance),
        connections=connections,
    )
    with target_lock(chosen, what="load"), Engine(processes) as engine:
        outcome = engine.run(plan)
    if as_json:
        click.echo(json.dumps(document(outcome), indent=1))
    else:
        click.echo("\n".join(lines(outcome)))
    if saturation(outcome):
        return 3
    return 1 if outcome.stopped else 0


def _model(name: str, rate: float, duration_s: float, think_s: float) -> "Open | Closed":
    from hokusai_validation.load.plan import Closed, Open
    from hokusai_validation.load.schedule import constant, ramp, spike

    if name == "closed":
        return Closed(duration_s=duration_s, think_s=think_s)
    if name == "constant":
        return Open(constant(rate, duration_s))
    if name == "ramp":
        return Open(ramp(0.0, rate, duration_s))
    if name == "spike":
        return Open(spike(rate, 10 * rate, 0.45 * duration_s, 0.1 * duration_s, 0.45 * duration_s))
    raise UsageError(f"The model '{name}' is not known: take constant, ramp, spike or closed.")


def _url(target: Target, instance: str | None) -> str | None:
    if instance is None:
        return None
    for each in target.instances:
        if each.name == instance:
            return each.url
    known = ", ".join(each.name for each in target.instances) or "none"
    raise UsageError(f"Target '{target.name}' has no instance '{instance}'; it has: {known}.")


def _body(path: Path | None) -> bytes:
    if path is None:
        return b""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"The body {path} can't be read: {error.strerror}.") from None


def _headers(
    target: Target, with_key: bool, body: Path | None, content_type: str
) -> tuple[tuple[str, str], ...]:
    headers = []
    if body is not None:
        headers.append(("Content-Type", content_type))
    if with_key:
        from hokusai_validation.resources.secrets import Secrets

        if target.keys.good is None:
            raise UsageError(f"Target '{target.name}' names no good API key (keys.good).")
        key = Secrets(target).value(target.keys.good).get_secret_value()
        headers.append(("Authorization", f"Bearer {key}"))
    return tuple(headers)
