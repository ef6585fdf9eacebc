"""Removing what the tests wrote to MLflow, by every way that is known to lead there: its own address, the
gateway, each of its instances. What stays is told with the command that removes it."""

import contextlib
import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hokusai_validation.errors import HokusaiError
from hokusai_validation.probes.ownership import remaining_things, remove_thing
from hokusai_validation.resources import deadline
from hokusai_validation.resources.mlflow import API, Mlflow
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target

LIMIT_S = 60.0
LEFT_BEHIND = "left_behind"  # the key of a row's evidence, which the headline tells


@dataclass(frozen=True)
class Left:
    """Something of ours that is still in the target: what it is, and what a person runs to remove it."""

    what: str
    command: str

    def as_json(self) -> dict[str, str]:
        """As a row's evidence keeps it."""
        return {"what": self.what, "command": self.command}


def clear(
    target: Target, secrets: Secrets, ours: Callable[[str], bool], names: Sequence[str] = ()
) -> tuple[Left, ...]:
    """Remove every model and experiment whose name fits, by the first way on which none is left; what is
    still there by the last one that answered. Where none answers, `names` may be there. Raises nothing that
    a target can cause."""
    left: tuple[Left, ...] | None = None
    with deadline.within(LIMIT_S), _ways(target, secrets) as ways:
        for way in ways:
            try:
                seen = _clear_by(way, target, ours)
            except HokusaiError:
                continue
            if not seen:
                return ()
            left = seen
    if left is not None:
        return left
    return tuple(Left(f"perhaps {name}", _search_command(target, name)) for name in names)


def _clear_by(way: Mlflow, target: Target, ours: Callable[[str], bool]) -> tuple[Left, ...]:
    for thing in remaining_things(way, ours):
        with contextlib.suppress(HokusaiError):  # the next way may be let through, and the others go on
            remove_thing(way, thing)
    return tuple(
        Left(f"{thing.kind} {thing.name}", _command(target, way, thing.call, thing.body))
        for thing in remaining_things(way, ours)
    )


@contextlib.contextmanager
def _ways(target: Target, secrets: Secrets) -> Iterator[list[Mlflow]]:
    """The most direct one first."""
    made: list[Mlflow] = []
    with contextlib.ExitStack() as stack:
        if target.mlflow is not None and target.mlflow.url is not None:
            with contextlib.suppress(HokusaiError, OSError):  # no certificates
                made.append(Mlflow.from_target(target, secrets))
        for url in dict.fromkeys((target.url, *(each.url for each in target.instances))):
            if url is not None:
                with contextlib.suppress(HokusaiError, OSError):  # no key, no way
                    made.append(Mlflow.through_gateway(target, secrets, base_url=url))
        for each in made:
            stack.callback(each.close)
        yield made


def _command(target: Target, way: Mlflow, call: tuple[str, str], body: dict[str, str]) -> str:
    method, path = call
    words = ["curl", "-fsS", "-X", method, f"{way.address}{API}{path}"]
    words += ["-H", "content-type: application/json", "-d", json.dumps(body)]
    return f"{shlex.join(words)}{_key(target) if way.with_key else ''}"


def _search_command(target: Target, name: str) -> str:
    direct = target.mlflow.url if target.mlflow is not None else None
    prefix = target.mlflow.through_gateway if target.mlflow is not None else "/api/mlflow"
    address = direct or f"{target.url or ''}{prefix}"
    body = json.dumps({"filter": f"name LIKE '{name}%'", "max_results": 200})
    words = ["curl", "-fsS", "-X", "POST", f"{address}{API}/experiments/search"]
    words += ["-H", "content-type: application/json", "-d", body]
    return f"{shlex.join(words)}{'' if direct else _key(target)}"


def _key(target: Target) -> str:
    """The key's place in a command, never its value."""
    good = target.keys.good
    variable = good.env if good is not None and good.env is not None else "KEY"
    return f' -H "authorization: Bearer ${variable}"'
