"""Which deployments call for a run: pure, rollouts in, decision out.

A deployment that came to its end calls for one run, once. Those that finished well wait for each other
and for quiet, so that services deployed together give one run; one that failed, was stopped, rolled
back or whose service was removed is told at once and holds nothing up. While a run of the target is
under way nothing is fired: what was deployed meanwhile gets one run after it, however many deployments
that were.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from hokusai_validation.resources.aws.rollouts import Outcome, Rollout

KEPT = 20  # deployments that a cursor remembers of one service
WELL = (Outcome.FINISHED,)
BADLY = (Outcome.FAILED, Outcome.ROLLED_BACK, Outcome.STOPPED, Outcome.REMOVED)


class Settled(BaseModel):
    """What a run was last asked for of a service: the deployment, its definition, what it came to."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    key: str
    task_definition: str = ""


class Watched(BaseModel):
    """A state that has not led to a run yet, and since when it is seen."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    since: AwareDatetime


class Cursor(BaseModel):
    """What earlier ticks have settled, by service; stored as JSON by Dagster, so it survives restarts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    settled: Mapping[str, Settled] = {}
    earlier: Mapping[str, tuple[str, ...]] = {}  # deployments that served before, oldest first
    watched: Mapping[str, Watched] = {}
    beside: Mapping[str, tuple[str, ...]] = {}  # what stood beside at the last tick
    seen: tuple[str, ...] = ()  # deployments that served at the last tick
    superseded: tuple[str, ...] = ()  # came and went before a run was asked for
    failed: tuple[str, ...] = ()  # CodeDeploy's deployments that it told of as failed, not run for yet
    since: AwareDatetime | None = None  # when AWS was last asked


class Fire(BaseModel):
    """One run to ask for, after what."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    deployments: Mapping[str, str]  # service -> deployment
    task_definitions: Mapping[str, str]
    finished_at: AwareDatetime | None
    keys: tuple[str, ...]
    unfinished: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()

    @property
    def run_key(self) -> str:
        """The same for the same deployments, whoever asks and however often."""
        kind = "deployed" if self.outcome is Outcome.FINISHED else self.outcome.value
        return f"{kind}:{'+'.join(sorted(self.keys))}"


class Decision(BaseModel):
    """What a tick comes to: at most one run, the cursor to keep, and why."""

    model_config = ConfigDict(frozen=True)

    cursor: Cursor
    reason: str
    fire: Fire | None = None


def decide(
    cursor: Cursor,
    rollouts: Mapping[str, Rollout],
    *,
    now: datetime,
    quiet_s: float,
    patience_s: float,
    busy: bool,
    announced: bool = False,
    failed: tuple[str, ...] = (),
) -> Decision:
    """Decide on one tick. `busy`: a run of this target is queued or under way. `announced`: AWS has
    just told that a deployment ended, so that no quiet is waited for; `failed` are deployments of
    CodeDeploy that it told of as failed or stopped. A service that moves for longer than
    `patience_s` no longer holds the others up."""
    cursor = cursor.model_copy(update={"failed": tuple(dict.fromkeys((*cursor.failed, *failed)))[-KEPT:]})
    states = _told_failed(cursor, {name: _with_history(cursor, each) for name, each in rollouts.items()})
    cursor = _looked(cursor, states, now)
    fresh = {
        name: each
        for name, each in states.items()
        if each.outcome in (*WELL, *BADLY) and _is_fresh(cursor, each)
    }
    bad = {name: each for name, each in fresh.items() if each.outcome in BADLY}
    if bad:
        said = ", ".join(f"{name} {each.outcome.value.replace('_', ' ')}" for name, each in bad.items())
        if busy:
            return Decision(cursor=cursor, reason=f"{said}; a run is under way, so it waits.")
        worst = next(outcome for outcome in BADLY if any(each.outcome is outcome for each in bad.values()))
        fire = _fire(bad, worst, cursor, keys=tuple(_key(each) for each in bad.values()))
        return Decision(cursor=_settle(cursor, bad), reason=f"{said}.", fire=fire)

    moving = sorted(name for name, each in states.items() if each.outcome is Outcome.MOVING)
    patience = timedelta(seconds=patience_s)
    held = [name for name in moving if now - cursor.watched[name].since < patience]
    if not fresh:
        reason = f"Not finished yet: {', '.join(moving)}." if moving else _nothing_new(states)
        return Decision(cursor=cursor, reason=reason)
    if held:
        return Decision(cursor=cursor, reason=f"Not finished yet: {', '.join(held)}.")
    rested = max(_rested_at(cursor, name, each) for name, each in fresh.items())
    if not announced and now - rested < timedelta(seconds=quiet_s):
        waited = max(0.0, (now - rested).total_seconds())
        return Decision(
            cursor=cursor, reason=f"Finished {waited:.0f} s ago; waiting for {quiet_s:g} s of quiet."
        )
    if busy:
        return Decision(cursor=cursor, reason="A run is under way; these deployments get one after it.")
    serving = {name: each for name, each in states.items() if each.id}
    fire = _fire(
        serving,
        Outcome.FINISHED,
        cursor,
        keys=tuple(each.id for each in serving.values()),
        unfinished=tuple(moving),
        superseded=cursor.superseded,
    )
    rest = f" ({', '.join(moving)} still not finished)" if moving else ""
    return Decision(
        cursor=_settle(cursor, fresh).model_copy(update={"superseded": ()}),
        reason=f"Finished: {', '.join(sorted(fresh))}{rest}.",
        fire=fire,
    )


def _with_history(cursor: Cursor, each: Rollout) -> Rollout:
    """What one look at AWS does not show, but this and the last one do."""
    last = cursor.settled.get(each.service)
    if each.outcome is not Outcome.FINISHED or last is None:
        return each
    vanished = set(cursor.beside.get(each.service, ())) - {each.id, *each.beside}
    if each.id == last.id and vanished:  # came up beside it, never served, and went
        return each.model_copy(update={"outcome": Outcome.ROLLED_BACK, "attempt": "+".join(sorted(vanished))})
    returned = each.id != last.id and each.id in cursor.earlier.get(each.service, ())
    repeated = (
        each.id != last.id
        and not each.attempt
        and each.failed_beside
        and each.task_definition == last.task_definition
    )
    if returned or repeated:
        return each.model_copy(update={"outcome": Outcome.ROLLED_BACK})
    return each


def _told_failed(cursor: Cursor, states: Mapping[str, Rollout]) -> Mapping[str, Rollout]:
    """The services whose deployment CodeDeploy told of as failed: the one that shows it beside, or
    the only one that CodeDeploy deploys."""
    found = dict(states)
    by_code_deploy = [name for name, each in states.items() if each.by_code_deploy]
    for attempt in cursor.failed:
        named = [name for name in by_code_deploy if attempt in _beside(cursor, states[name])]
        for name in named or (by_code_deploy if len(by_code_deploy) == 1 else ()):
            found[name] = states[name].model_copy(update={"outcome": Outcome.ROLLED_BACK, "attempt": attempt})
    return found


def _beside(cursor: Cursor, each: Rollout) -> tuple[str, ...]:
    return (*each.beside, *cursor.beside.get(each.service, ()))


def _is_fresh(cursor: Cursor, each: Rollout) -> bool:
    last = cursor.settled.get(each.service)
    if last is None:
        return True
    if each.outcome is Outcome.FINISHED:
        return each.id != last.id
    return _key(each) != last.key


def _key(each: Rollout) -> str:
    """What one run is asked for: the deployment that serves, or the attempt that came to nothing."""
    if each.outcome is Outcome.REMOVED:
        return each.service
    if each.outcome in (Outcome.FINISHED, Outcome.FAILED):
        return each.id
    return each.attempt or each.id


def _looked(cursor: Cursor, states: Mapping[str, Rollout], now: datetime) -> Cursor:
    """The cursor after a look: what is seen, since when, and what was passed over."""
    watched: dict[str, Watched] = {}
    for name, each in states.items():
        key = f"{each.outcome.value}:{_key(each)}"
        before = cursor.watched.get(name)
        watched[name] = before if before is not None and before.key == key else Watched(key=key, since=now)
    serving = {each.id for each in states.values() if each.id}
    known = serving | {last.id for last in cursor.settled.values()}
    replaced = {name for each in states.values() for name in each.replaced}
    return cursor.model_copy(
        update={
            "watched": watched,
            "beside": {
                # What vanished is remembered until a run was asked for it.
                name: tuple(sorted({*each.beside, *_unsettled(cursor, each)}))
                for name, each in states.items()
            },
            "seen": tuple(sorted(serving)),
            "superseded": tuple(sorted(({*cursor.superseded, *cursor.seen} - known) | replaced)),
            "since": now,
        }
    )


def _unsettled(cursor: Cursor, each: Rollout) -> tuple[str, ...]:
    if each.outcome is not Outcome.ROLLED_BACK:
        return ()
    last = cursor.settled.get(each.service)
    return cursor.beside.get(each.service, ()) if last is not None and last.id == each.id else ()


def _settle(cursor: Cursor, told: Mapping[str, Rollout]) -> Cursor:
    settled, earlier, beside = dict(cursor.settled), dict(cursor.earlier), dict(cursor.beside)
    for name, each in told.items():
        last = settled.get(name)
        if last is not None and last.id not in ("", each.id):
            kept = [known for known in earlier.get(name, ()) if known != last.id]
            earlier[name] = (*kept, last.id)[-KEPT:]
        settled[name] = Settled(id=each.id, key=_key(each), task_definition=each.task_definition)
        beside[name] = each.beside
    left = tuple(each for each in cursor.failed if each not in {_key(each) for each in told.values()})
    return cursor.model_copy(
        update={"settled": settled, "earlier": earlier, "beside": beside, "failed": left}
    )


def _rested_at(cursor: Cursor, name: str, each: Rollout) -> datetime:
    """Since when it is at rest: by AWS's own end of it, else since it is seen so, or was last touched
    where that is longer ago. Some services are touched for ever."""
    if each.ended_at is not None:
        return each.ended_at
    seen = cursor.watched[name].since
    return seen if each.touched_at is None else min(seen, each.touched_at)


def _nothing_new(states: Mapping[str, Rollout]) -> str:
    empty = sorted(name for name, each in states.items() if each.outcome is Outcome.EMPTY)
    removed = sorted(name for name, each in states.items() if each.outcome is Outcome.REMOVED)
    notes = [f" {', '.join(empty)} has no deployment."] if empty else []
    notes += [f" {', '.join(removed)} is not there."] if removed else []
    return "The present deployments were already given a run." + "".join(notes)


def _fire(
    told: Mapping[str, Rollout],
    outcome: Outcome,
    cursor: Cursor,
    *,
    keys: tuple[str, ...],
    unfinished: tuple[str, ...] = (),
    superseded: tuple[str, ...] = (),
) -> Fire:
    ends = [_rested_at(cursor, name, each) for name, each in told.items()]
    return Fire(
        outcome=outcome,
        deployments={name: _key(each) for name, each in told.items()},
        task_definitions={
            name: each.task_definition.rsplit("/", 1)[-1]
            for name, each in told.items()
            if each.task_definition
        },
        finished_at=max(ends, default=None),
        keys=keys,
        unfinished=unfinished,
        superseded=superseded,
    )
