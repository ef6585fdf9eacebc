"""Removing what the tests wrote to MLflow, by every way that is known to lead there: its own address, the
gateway, each of its instances. What stays is told with the command that removes it.

It is done once a process, behind its last test. A way that led nowhere is not gone again for a moment: processes
that run side by side end at the same time."""

import contextlib
import contextvars
import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from pydantic import JsonValue

from hokusai_validation.bounds import deadline
from hokusai_validation.errors import HokusaiError
from hokusai_validation.probes.ownership import Thing, remaining_things, remove_thing
from hokusai_validation.resources import hanging, own_faults, shared
from hokusai_validation.resources.hanging import AFTER_OURS_S
from hokusai_validation.resources.mlflow import API, Mlflow
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target

LIMIT_S = 30.0
# Nothing is judged by these questions. What only got slow answers within it.
ANSWER_S = 4.0
# After it the other ways are looked at beside the first.
ALONE_S = 1.0
NO_WAY_FOR_S = 20.0
AT_ONCE = 8


@dataclass(frozen=True)
class Left:
    """Something of ours in the target: what it is, what a person runs to remove or to find it, and whether it
    was seen there behind the clean-up; where nobody could look, it may be there."""

    what: str
    command: str
    seen: bool = True

    def as_json(self) -> dict[str, JsonValue]:
        """As a row's evidence keeps it."""
        return {"what": self.what, "command": self.command, "seen": self.seen}


_no_way = shared.Lately("no_way", NO_WAY_FOR_S)  # addresses that led nowhere


def clear(
    target: Target, secrets: Secrets, ours: Callable[[str], bool], names: Sequence[str]
) -> tuple[Left, ...]:
    """Remove every model and experiment whose name fits, by the first way on which none is left; what is
    still there by the last one that answered. Where none answers, `names`, which the last one gives, may be
    there. Raises nothing that a target can cause."""
    left: tuple[Left, ...] | None = None
    with deadline.within(LIMIT_S), _ways(target, secrets) as ways:
        for way, things in _looked([each for each in ways if _leads(each)], ours):
            try:
                seen = _clear_by(way, target, ours, things)
            except HokusaiError:
                continue
            if not seen:
                return ()
            left = seen
    if left is not None:
        return left
    return tuple(Left(name, _search_command(target, name), seen=False) for name in names)


def _leads(way: Mlflow) -> bool:
    return not _no_way.holds(way.address) and not hanging.is_silent(way.address)


def _looked(
    ways: Sequence[Mlflow], ours: Callable[[str], bool]
) -> Iterator[tuple[Mlflow, tuple[Thing, ...]]]:
    """Each way that answers, with what is there; where the first does not, or not at once, all others are
    asked beside it: what keeps one from answering mostly keeps them all."""
    if not ways:
        return
    with ThreadPoolExecutor(len(ways)) as pool:

        def begin(way: Mlflow) -> "Future[tuple[tuple[Thing, ...], ...]]":
            return pool.submit(contextvars.copy_context().run, _look, way, ours)

        first = begin(ways[0])
        wait([first], timeout=ALONE_S)
        others = [] if first.done() and first.result() else [begin(each) for each in ways[1:]]
        yield from ((ways[0], things) for things in first.result())
        others = others or [begin(each) for each in ways[1:]]  # by the first not all could be removed
        for way, each in zip(ways[1:], others, strict=True):
            yield from ((way, things) for things in each.result())


def _look(way: Mlflow, ours: Callable[[str], bool]) -> tuple[tuple[Thing, ...], ...]:
    """What is there; empty where the way leads nowhere."""
    try:
        found = remaining_things(way, ours)
    except HokusaiError:
        if own_faults.since_last_s() > AFTER_OURS_S:
            _no_way.note(way.address)
        return ()
    _no_way.forget(way.address)
    return (found,)


def _clear_by(
    way: Mlflow, target: Target, ours: Callable[[str], bool], things: Sequence[Thing]
) -> tuple[Left, ...]:
    def take_away(thing: Thing) -> None:
        with contextlib.suppress(HokusaiError):  # the next way may be let through, and the others go on
            remove_thing(way, thing)

    if things:
        with ThreadPoolExecutor(min(len(things), AT_ONCE)) as pool:
            for thing in things:
                pool.submit(contextvars.copy_context().run, take_away, thing)
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
                made.append(Mlflow.from_target(target, secrets, timeout_s=ANSWER_S))
        for url in dict.fromkeys((target.url, *(each.url for each in target.instances))):
            if url is not None:
                with contextlib.suppress(HokusaiError, OSError):  # no key, no way
                    made.append(Mlflow.through_gateway(target, secrets, base_url=url, timeout_s=ANSWER_S))
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
