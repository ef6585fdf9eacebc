"""The one gate: whatever sends load or puts a fault on asks it, at that very place.

A target's file permits each kind by name, and nothing by default. On a production target that is
not enough: a person confirms a run by its id, or the file has a standing permission for the job. No
flag, variable or run configuration opens it otherwise, and the effective target has no addresses
but those named in the file, found by reading AWS under names in it, or given in code.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from hokusai_validation.errors import NotPermitted
from hokusai_validation.target import LOAD, LoadPermission, Target

FAULTS = "faults"  # the need for any kind of fault, and `fault:KIND` for one
_FAULT = "fault:"


class Confirmation(BaseModel):
    """That a person lets a run do to a production target what its file permits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    run_id: str
    by: str
    at: AwareDatetime


@dataclass(frozen=True)
class Gate:
    """What one run may do to its effective target. `granted` are the kinds (a fault's, or `load`) that
    it may on a production target."""

    target: Target
    granted: frozenset[str] = frozenset()
    run_id: str = ""
    _permitted: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_permitted", in_file(self.target))

    @classmethod
    def of(
        cls,
        target: Target,
        run_id: str,
        *,
        confirmation: Confirmation | None = None,
        job: str | None = None,
        today: date | None = None,
    ) -> Self:
        """The gate of a run: `job` is the Dagster job that it is of."""
        granted: set[str] = set()
        if confirmation is not None and (confirmation.target, confirmation.run_id) == (target.name, run_id):
            granted |= in_file(target)
        day = today or datetime.now(UTC).date()
        for standing in target.permissions.standing:
            if standing.job == job and day <= standing.until:
                granted |= set(standing.kinds)
        return cls(target, frozenset(granted), run_id=run_id)

    def refusal(self, kind: str) -> str | None:
        """Why a kind of fault, or `load`, may not be, and what would permit it; None where it may."""
        name = self.target.name
        what = "load is" if kind == LOAD else f"fault '{kind}'"
        if kind not in self._permitted:
            where = (
                "its file has no [permissions.load]; only its owner may add one"
                if kind == LOAD
                else f"add it to permissions.faults of '{name}' to permit it"
            )
            return f"{what} not permitted on this target: {where}"
        now = datetime.now(UTC)
        for quiet in self.target.permissions.quiet:
            ends = quiet.ends(now)
            if ends is not None:
                return f"{what} not permitted in the quiet time of '{name}', until {ends:%Y-%m-%d %H:%M %Z}"
        if self.target.production and kind not in self.granted:
            run = f"`hokusai-validation confirm {name} {self.run_id or 'RUN_ID'}`"
            return (
                f"{what} not permitted: target '{name}' is production and nobody confirmed this run; confirm it"
                f" ({run}, or --confirm {name} where it is started), or add a permissions.standing"
            )
        return None

    def check(self, kind: str) -> None:
        """Raises NotPermitted, with what would permit it."""
        reason = self.refusal(kind)
        if reason is not None:
            raise NotPermitted(reason)

    def host(self, host: str) -> None:
        """Whether a check of the target's own may ask a host.

        Raises NotPermitted, with what would permit it."""
        if not self.target.may_ask(host):
            raise NotPermitted(
                f"host '{host}' not permitted on this target: add it to permissions.hosts of '{self.target.name}'"
            )

    def load(self) -> LoadPermission:
        """The ceilings of load.

        Raises NotPermitted."""
        self.check(LOAD)
        permission = self.target.permissions.load
        if permission is None:  # checked above
            raise NotPermitted(f"load is not permitted on target '{self.target.name}'")
        return permission

    def unmet(self, needs: Iterable[str]) -> NotPermitted | None:
        """Why a test with these needs may not run, or None. (`faults` is any kind of fault.)"""
        for need in needs:
            kinds = {LOAD} if need == LOAD else self._permitted - {LOAD} if need == FAULTS else set()
            if need.startswith(_FAULT):
                kinds = {need.removeprefix(_FAULT)}
            reasons = [self.refusal(kind) for kind in sorted(kinds)]
            if reasons and all(reasons):
                return NotPermitted(reasons[0] or "")
        return None


def in_file(target: Target) -> frozenset[str]:
    """The kinds that a target's file permits."""
    load = {LOAD} if target.permissions.load is not None else set()
    return frozenset({*(each.value for each in target.permissions.faults), *load})


def narrowed(target: Target) -> str | None:
    """A sentence about what the file of a production target permitted by itself before runs were to be
    confirmed, and does no more; None where it is nothing."""
    standing = {kind for each in target.permissions.standing for kind in each.kinds}
    kinds = sorted(in_file(target) - standing)
    if not target.production or not kinds:
        return None
    return (
        f"What the file of '{target.name}' permits ({', '.join(kinds)}) needs a person's confirmation of the run, or"
        " [[permissions.standing]], as the target is production: schedules, sensors, runs started in Dagster's UI"
        " and the suite alone leave it out now. This is said once."
    )


def harmful(needs: Iterable[str]) -> bool:
    """Whether a test with these needs sends load or puts a fault on."""
    return any(need in (LOAD, FAULTS) or need.startswith(_FAULT) for need in needs)
