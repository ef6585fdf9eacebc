"""Which deployments call for a run: pure, services in, decision out.

A target's *state* is the set of its services' primary deployments. A state is validated once, when all
of them are COMPLETED and nothing moved for a while, so that services deployed together give one run.
While a run of the target is under way nothing is fired: what was deployed meanwhile gets one run
after it, however many deployments that were.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from hokusai_validation.resources.aws.models import EcsDeployment, EcsServiceState

KEPT = 200  # ids of failed rollouts that a cursor remembers


class Cursor(BaseModel):
    """What earlier ticks have settled; stored as JSON by Dagster, so it survives restarts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    validated: tuple[str, ...] = ()  # deployment ids of the last state that a run was asked for
    failed: tuple[str, ...] = ()  # failed deployments that the light job was asked for
    seen: tuple[str, ...] = ()  # deployment ids of the state at the last tick
    superseded: tuple[str, ...] = ()  # finished in between and replaced before a run was asked for
    since: AwareDatetime | None = None  # when deployments were last listed


class Fire(BaseModel):
    """One run to ask for: `light` after a failed rollout, else the whole."""

    model_config = ConfigDict(frozen=True)

    light: bool
    deployments: Mapping[str, str]  # service -> deployment id
    task_definitions: Mapping[str, str]
    finished_at: AwareDatetime | None
    superseded: tuple[str, ...] = ()

    @property
    def run_key(self) -> str:
        """The same for the same deployments, whoever asks and however often."""
        kind = "failed" if self.light else "deployed"
        return f"{kind}:{'+'.join(sorted(self.deployments.values()))}"


class Decision(BaseModel):
    """What a tick comes to: at most one run, the cursor to keep, and why."""

    model_config = ConfigDict(frozen=True)

    cursor: Cursor
    reason: str
    fire: Fire | None = None


def decide(
    cursor: Cursor,
    services: Mapping[str, EcsServiceState],
    *,
    now: datetime,
    quiet_s: float,
    busy: bool,
    replaced: tuple[str, ...] = (),
) -> Decision:
    """Decide on one tick. `replaced` are names of deployments that came and went since the last
    tick, as far as AWS lists them; `busy`: a run of this target is queued
    or under way."""
    primaries = {name: state.primary for name, state in services.items()}
    state = tuple(sorted(item.id for item in primaries.values() if item is not None))
    gone = {*cursor.superseded, *replaced, *cursor.seen} - set(state) - set(cursor.validated)
    cursor = cursor.model_copy(update={"seen": state, "superseded": tuple(sorted(gone)), "since": now})

    failed = {
        name: each
        for name, service in services.items()
        for each in service.deployments
        if each.rollout_state == "FAILED" and each.id not in cursor.failed
    }
    if failed:
        if busy:
            return Decision(cursor=cursor, reason="A rollout failed; a run is under way, so it waits.")
        marked = (*cursor.failed, *(each.id for each in failed.values()))[-KEPT:]
        return Decision(
            cursor=cursor.model_copy(update={"failed": marked}),
            reason=f"The rollout of {', '.join(sorted(failed))} failed.",
            fire=_fire(failed, light=True),
        )

    moving = sorted(name for name, item in primaries.items() if not _done(services[name], item))
    if moving:
        return Decision(cursor=cursor, reason=f"Not finished yet: {', '.join(moving)}.")
    if state == cursor.validated:
        return Decision(cursor=cursor, reason="The present deployments were already given a run.")
    done = {name: item for name, item in primaries.items() if item is not None}
    latest = max((moved for item in done.values() if (moved := _moved(item))), default=None)
    if latest is not None and now - latest < timedelta(seconds=quiet_s):
        waited = (now - latest).total_seconds()
        return Decision(
            cursor=cursor, reason=f"Finished {waited:.0f} s ago; waiting for {quiet_s:g} s of quiet."
        )
    if busy:
        return Decision(cursor=cursor, reason="A run is under way; these deployments get one after it.")
    fire = _fire(done, light=False, superseded=cursor.superseded)
    return Decision(
        cursor=cursor.model_copy(update={"validated": state, "superseded": ()}),
        reason=f"Finished: {', '.join(sorted(done))}.",
        fire=fire,
    )


def _done(service: EcsServiceState, primary: EcsDeployment | None) -> bool:
    """The rollout is over. Services that don't report a rollout state are judged by their counts."""
    if primary is None:
        return False
    if primary.rollout_state:
        return primary.rollout_state == "COMPLETED"
    return service.running >= service.desired and len(service.deployments) == 1


def _moved(deployment: EcsDeployment) -> datetime | None:
    return deployment.updated_at or deployment.created_at


def _fire(deployments: Mapping[str, EcsDeployment], *, light: bool, superseded: tuple[str, ...] = ()) -> Fire:
    return Fire(
        light=light,
        deployments={name: item.id for name, item in deployments.items()},
        task_definitions={
            name: item.task_definition.rsplit("/", 1)[-1] for name, item in deployments.items()
        },
        finished_at=max((moved for item in deployments.values() if (moved := _moved(item))), default=None),
        superseded=superseded,
    )
