"""The state that a target is in before a fault is put on: what an experiment is measured against.

A test names the parts whose healthy state it relies on (the catalogue's `healthy:PART`). One that is
not well before can neither be broken by a fault nor recover from it, so the test is not executed. What
a test doesn't rely on may be as it is, and must be so again behind it.
"""

import contextlib
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from hokusai_validation.errors import ExpectationUnmet, NoSteadyState, RequestFailed, UnhealthyBefore
from hokusai_validation.facts import FactKind
from hokusai_validation.probes import direct
from hokusai_validation.probes.states import LOOK_AFTER_S, POLL_S, Scene, note_services
from hokusai_validation.resources import own_faults, shared, unknown_key
from hokusai_validation.resources.http import SERVER_ERROR_FROM
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role, word_for

if TYPE_CHECKING:
    from hokusai_validation.probes.instances import ApiInstance
    from hokusai_validation.resources.links import LinkClient

WELL = ("healthy", "disabled")
# An instance may look at its parts in the background; two looks so far apart are not the same one.
CONFIRM_S = 1.0
# How long a part that was seen out counts as out without another look.
KNOWN_FOR_S = 20.0

_out: dict[tuple[str, str], tuple[float, str]] = {}  # (instance, part) -> when, what was seen
_unhealthy: set[str] = set()  # components, in earlier phases


def begin_with(components: Iterable[str]) -> None:
    """What earlier phases of the run found unhealthy before they did anything: no fault of ours made it so,
    and it is not waited for."""
    _unhealthy.clear()
    _unhealthy.update(components)


@contextlib.contextmanager
def in_steady_state(
    instance: "ApiInstance",
    links: "LinkClient | None",
    target: Target,
    evidence: Evidence,
    relies_on: Collection[str] = (),
) -> Iterator[Scene]:
    """A scene whose breaker is CLOSED with nothing counted, before and behind the block, and in which
    the parts that are relied on are well; behind it the instance shows again what was well before.

    Raises UnhealthyBefore when one of them is not, ExpectationUnmet when something does not come back."""
    scene = Scene(instance, links, target, evidence)
    _raise_if_known(scene, relies_on)
    try:
        scene.close_breaker()
    except (ExpectationUnmet, RequestFailed):
        _raise_if_out(scene, (Role.AUTH, *relies_on))
        raise
    if Role.TRACKING_SERVER in relies_on:
        scene.counted()  # so that the last known result is of now
    before = _await_well(scene, relies_on)
    well = {name: state for name, state in before.items() if state in WELL}
    try:
        yield replace(scene, before=before)
    finally:
        _comes_back(scene, well)


def _comes_back(scene: Scene, well: Mapping[str, str]) -> None:
    """What was well is well again, when the faults are off.

    Raises ExpectationUnmet."""
    try:
        scene.close_breaker()
        if well.get(Role.TRACKING_SERVER) == "healthy":
            scene.counted()
    except RequestFailed as error:
        scene.evidence.failure(error, Role.API_GATEWAY, scene.name)
        raise ExpectationUnmet(f"{scene.name} does not answer any more: {error}") from None
    await_services(scene, well, limit_s=scene.target.limits.recovery_s / 4)


def await_services(scene: Scene, states: Mapping[str, str], *, limit_s: float) -> None:
    """Wait until `/health` shows these states again, or until one of the parts is seen to be out.

    Raises ExpectationUnmet with what did not recover."""
    started = time.monotonic()
    seen: dict[str, str] = {}
    problem = ""
    looked = False
    while True:
        try:
            seen, problem = scene.services(), ""
        except (ExpectationUnmet, RequestFailed) as error:
            problem = str(error)
        differs = {name: state for name, state in states.items() if seen.get(name) != state}
        if not problem and not differs:
            return
        waited_s = time.monotonic() - started
        if not looked and not problem and waited_s > LOOK_AFTER_S:
            looked = True
            if gone := {name: why for name in differs if (why := direct.out(name, scene.target))}:
                problem = "; ".join(
                    f"{scene.names([name])} itself is out: {why}" for name, why in gone.items()
                )
                break
        if waited_s > limit_s:
            break
        time.sleep(POLL_S)
    told = [f"{scene.names([name])} is {seen.get(name)}, was {state}" for name, state in differs.items()]
    for name, text in zip(differs, told, strict=True):
        scene.evidence.fact(FactKind.NOT_RECOVERED, name, text, scene.name)
    raise ExpectationUnmet(
        f"{scene.name} is not what it was {waited_s:.1f} s after the faults were undone:"
        f" {problem or '; '.join(told)}."
    )


def _await_well(scene: Scene, relies_on: Collection[str]) -> dict[str, str]:
    """The states in `/health` once every part that is relied on is well. What a fault of ours left behind
    is waited for; what was there before is not, nor what is out itself though our fault was elsewhere."""
    started = time.monotonic()
    aftermath_s = scene.target.limits.recovery_s / 4
    out_since: float | None = None
    while True:
        seen = scene.services()
        unwell = list(_unwell(seen, relies_on))
        _raise_if_out(scene, [part for part in relies_on if part not in seen])
        if not unwell:
            return seen
        waited_s = time.monotonic() - started
        name = scene.target.named(unwell[0])
        # The part that a fault of ours hit has all the time that the target promises itself.
        hit = own_faults.since_at_s(name) < scene.target.limits.recovery_s
        recovering = hit or own_faults.since_last_s() < aftermath_s
        if name in _unhealthy:  # and it still is
            _note(scene, unwell[0], seen[unwell[0]])
        elif waited_s > CONFIRM_S:
            if not recovering:
                _note(scene, unwell[0], seen[unwell[0]])
            # One look may come too late on a busy machine; a part that a fault of ours hit starts again.
            elif own_faults.since_at_s(name) >= aftermath_s and direct.out(unwell[0], scene.target):
                out_since = out_since or time.monotonic()
                if time.monotonic() - out_since >= CONFIRM_S:
                    _note(scene, unwell[0], seen[unwell[0]])
            else:
                out_since = None
        time.sleep(POLL_S)
        if Role.TRACKING_SERVER in unwell:
            scene.counted()


def require_well(instances: Iterable["ApiInstance"], target: Target, relies_on: Collection[str]) -> None:
    """No instance says, at two looks, that a part is not well which a test relies on: what some of them
    serve without it is not what all serve with it. What an answer does not say keeps no test from its way.

    Raises UnhealthyBefore."""
    for instance in instances:
        scene = Scene(instance, None, target, Evidence(target))
        _raise_if_known(scene, relies_on)
        unwell = _unwell(_said(scene), relies_on)
        if unwell:
            time.sleep(CONFIRM_S)
            for part, state in _unwell(_said(scene), unwell).items():
                _know(scene, part, f"/health of {scene.name} says {state}")
            _raise_if_known(scene, unwell)


def _said(scene: Scene) -> dict[str, str]:
    """The states in `/health`; none where it does not tell them."""
    try:
        return scene.services()
    except (ExpectationUnmet, RequestFailed):
        return {}


def _unwell(seen: Mapping[str, str], parts: Collection[str]) -> dict[str, str]:
    return {part: seen[part] for part in parts if seen.get(part, "healthy") not in WELL}


def _note(scene: Scene, part: str, state: str) -> None:
    """Remember that a part is out.

    Raises UnhealthyBefore."""
    with contextlib.suppress(ExpectationUnmet, RequestFailed):
        health = scene.health()
        detailed = scene.get("/health?detailed=true").object()
        note_services(health, detailed, scene.evidence, scene.target, via=scene.name)
    _know(scene, part, f"/health of {scene.name} says {state}")
    _raise_if_known(scene, (part,))


def _know(scene: Scene, part: str, seen: str) -> None:
    at = time.monotonic()
    _take(scene.name, part, at, seen)
    shared.tell(_TOPIC, scene.name, part, at, seen)


def _take(instance: str, part: str, at: float, seen: str) -> None:
    _out[instance, part] = (at, seen)


_TOPIC = "out"
shared.taken_by(_TOPIC, _take)


def _raise_if_known(scene: Scene, parts: Collection[str]) -> None:
    shared.catch_up()
    for part in parts:
        component = scene.target.named(part)
        declared = scene.target.topology.get(component)
        if declared is not None and declared.is_known_unhealthy:
            raise UnhealthyBefore(f"{component} was not healthy before (the target file says so)", component)
        at, seen = _out.get((scene.name, part), (float("-inf"), ""))
        if time.monotonic() - at < KNOWN_FOR_S:
            raise UnhealthyBefore(f"{component} was not healthy before: {seen}", component)


def _raise_if_out(scene: Scene, parts: Collection[str]) -> None:
    for part in parts:
        why = direct.out(part, scene.target)
        if why is None and part == Role.AUTH:
            why = _keys_unjudged(scene)
        if why:
            _know(scene, part, why)
    _raise_if_known(scene, parts)


def _keys_unjudged(scene: Scene) -> str | None:
    """How the instance answers a key that only the auth service can judge, where that is an error of the
    instance's own; the part may be well, and the way to it not. None soon after a fault of ours on it."""
    if own_faults.since_at_s(scene.target.named(Role.AUTH)) < scene.target.limits.recovery_s:
        return None
    try:
        answer = unknown_key.ask(scene.instance.client)
    except RequestFailed as error:
        return f"{scene.name} gives a key that nobody knows no answer ({error})"
    if answer.status < SERVER_ERROR_FROM:
        return None
    return f"{scene.name} answers a key that nobody knows with {answer.status}"


@dataclass(frozen=True)
class Baseline:
    """What each instance said of its services before an experiment."""

    instances: "tuple[ApiInstance, ...]"
    states: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(
        cls,
        instances: "tuple[ApiInstance, ...]",
        target: Target,
        relies_on: Collection[str],
        evidence: Evidence,
    ) -> Self:
        """Of every instance, once the parts that are relied on are well.

        Raises UnhealthyBefore when one is not."""
        scenes = [Scene(each, None, target, evidence) for each in instances]
        for scene in scenes:
            _raise_if_known(scene, relies_on)
        return cls(instances, {scene.name: _await_well(scene, relies_on) for scene in scenes})

    def deviation(self) -> str | None:
        """How an instance differs from what it said before, in what was well then; None where none does."""
        for each in self.instances:
            try:
                told = each.client.get("/health").object().get("services")
            except RequestFailed as error:
                return str(error)
            well = {name: state for name, state in self.states[each.name].items() if state in WELL}
            if not isinstance(told, dict) or any(
                told.get(word_for(name)) != state for name, state in well.items()
            ):
                return f"/health of {each.name} says {told}, of which {', '.join(map(word_for, well))} were well before"
        return None


def unsteady(error: NoSteadyState, target: Target) -> UnhealthyBefore:
    """An experiment's missing steady state, and the part that prevents it: the auth service where that is
    out, else the API."""
    part = Role.AUTH if direct.out(Role.AUTH, target) else Role.API_GATEWAY
    return UnhealthyBefore(f"no steady state: {error}", target.named(part))
